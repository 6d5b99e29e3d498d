"""The keys an identity provider publishes, fetched when they are needed and kept."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from trackside.server.clock import Clock

FRESH_MS = 600_000
RETRY_MS = 30_000
"""Tokens with invented key ids must not make us ask the provider each time."""
MAX_BYTES = 262_144


class ProviderKeys:
    def __init__(self, url: str, client: httpx.AsyncClient, clock: Clock) -> None:
        self.url = url
        self.error = ""
        """Why the last fetch failed."""
        self._client, self._clock = client, clock
        self._keys: dict[str | None, Any] = {}
        self._fetched_ms = self._tried_ms = -(10**15)
        self._lock = asyncio.Lock()

    async def key(self, key_id: str | None) -> Any | None:
        """For `jwt.decode`; None: the provider has no such key, or cannot be reached and never could."""
        async with self._lock:
            now_ms = self._clock.now_ms()
            is_stale = now_ms - self._fetched_ms > FRESH_MS or key_id not in self._keys
            if is_stale and now_ms - self._tried_ms > RETRY_MS:
                self._tried_ms = now_ms
                await self._fetch(now_ms)
        return self._keys.get(key_id)

    async def _fetch(self, now_ms: int) -> None:
        import jwt  # noqa: PLC0415 - with all of its cryptography, for those who have such a provider

        try:
            response = await self._client.get(self.url, timeout=5)
            response.raise_for_status()
            if len(response.content) > MAX_BYTES:
                raise ValueError(f"{len(response.content)} bytes of keys")
            found = jwt.PyJWKSet.from_dict(response.json())
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            # The keys we have go on holding: a provider that is away for a moment locks nobody out.
            self.error = f"{self.url}: {error or type(error).__name__}"
            return
        self.error = ""
        self._fetched_ms = now_ms
        self._keys = {key.key_id: key for key in found.keys}
        if len(found.keys) == 1:
            self._keys[None] = found.keys[0]
