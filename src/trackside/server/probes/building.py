"""A check of the configuration as something that can be run."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from trackside.exceptions import ConfigError
from trackside.server.probes.config import CheckConfig, ProbeTlsConfig
from trackside.server.probes.http import HttpProbe
from trackside.server.probes.network import Network, TlsWish
from trackside.server.probes.result import Kind, ProbeResult
from trackside.server.probes.tcp import TcpProbe
from trackside.server.probes.websocket import WebSocketProbe

Probe = Callable[[], Awaitable[ProbeResult]]
"""One attempt. Never raises."""


class Probes:
    """Makes probes. Checks with the same trust share one TLS context: each holds all authorities of the machine."""

    def __init__(self, network: Network, directory: Path = Path()) -> None:
        """`directory`: of the configuration; file names are relative to it."""
        self._network, self._directory = network, directory
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def of(self, check: CheckConfig) -> Probe:
        """
        Raises:
            ConfigError: the file of an authority cannot be read.
        """
        if check.kind is Kind.DNS:
            from trackside.server.probes.dns import DnsProbe  # noqa: PLC0415 - a library that few have a need of

            return DnsProbe(self._network, check)
        tls = TlsWish(self._context(check.tls, check.name), check.tls.server_name, check.certificate_valid_for / 1000)
        match check.kind:
            case Kind.WEBSOCKET:
                return WebSocketProbe(self._network, check, tls)
            case Kind.TCP:
                return TcpProbe(self._network, check, tls)
        return HttpProbe(self._network, check, tls)

    def _context(self, tls: ProbeTlsConfig, name: str) -> ssl.SSLContext:
        key = (tls.ca_file, tls.insecure_skip_verify)
        if key not in self._contexts:
            file = str(self._directory / tls.ca_file) if tls.ca_file else None
            try:
                context = ssl.create_default_context(cafile=file)
            except OSError as error:
                raise ConfigError(
                    f"uptime check {name!r}: tls.ca_file {tls.ca_file} cannot be read: {error}"
                ) from error
            if tls.insecure_skip_verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[key] = context
        return self._contexts[key]
