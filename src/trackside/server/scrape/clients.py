"""HTTP clients, one for all jobs that ask in the same way."""

from __future__ import annotations

import httpx

from trackside.exceptions import ConfigError
from trackside.server.scrape.http_config import HttpClientConfig
from trackside.server.scrape.sources import ClientFactory


class Clients:
    """Opened when they are needed, and shared."""

    def __init__(self, factory: ClientFactory) -> None:
        self._factory = factory
        self._open: dict[tuple[object, ...], httpx.AsyncClient] = {}

    def get(self, config: HttpClientConfig) -> httpx.AsyncClient:
        """
        Raises:
            ConfigError: a certificate or key cannot be read.
        """
        key = (
            config.tls_config,
            config.enable_http2,
            config.proxy_url,
            config.no_proxy,
            config.proxy_from_environment,
        )
        if key not in self._open:
            try:
                self._open[key] = self._factory(config)
            except (OSError, ValueError) as error:
                raise ConfigError(f"tls_config: a certificate or key cannot be used: {error}") from error
        return self._open[key]

    async def close(self) -> None:
        clients = list(self._open.values())
        self._open.clear()
        for client in clients:
            await client.aclose()
