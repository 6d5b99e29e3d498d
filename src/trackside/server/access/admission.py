"""Keys and tokens tried at the door: the right ones are let in, and who tries many others has to wait."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.server.access.config import AuthConfig
from trackside.server.access.keys import Keys
from trackside.server.access.roles import Identity
from trackside.server.access.throttle import Throttle
from trackside.server.access.tokens import Tokens, looks_like_token
from trackside.server.clock import Clock


@dataclass(frozen=True, slots=True)
class Refusal:
    wait_s: int
    """Until the next try; 0: the key was simply wrong."""


class Admission:
    def __init__(self, keys: Keys, clock: Clock) -> None:
        self.keys, self._clock = keys, clock
        self._throttle = Throttle()
        self.auth = AuthConfig()
        """The rules in force: a reload exchanges them."""
        self.tokens: Tokens | None = None
        """Of an identity provider, where there is one."""

    def apply(self, auth: AuthConfig, tokens: Tokens | None) -> None:
        self.auth, self.tokens = auth, tokens

    async def enter(self, key: str, client: str) -> Identity | Refusal:
        """As `admit`, for tokens of the identity provider too."""
        if self.tokens is None or not looks_like_token(key):
            return self.admit(key, client)
        wait_ms = self._throttle.blocked_ms(client, self._clock.now_ms())
        if wait_ms:
            return Refusal(-(-wait_ms // 1_000))
        identity = await self.tokens.identity(key)
        if identity is None:
            # A browser sends an outdated token again and again, which is no guessing: it is not counted.
            return Refusal(0)
        return identity

    def admit(self, key: str, client: str) -> Identity | Refusal:
        """Whose key it is. `client` is the address that tries it."""
        now_ms = self._clock.now_ms()
        # Behind a proxy everybody may have one address: somebody's wrong keys must not stop the machines whose keys
        # are known to be right.
        wait_ms = self._throttle.blocked_ms(client, now_ms)
        if wait_ms and not self.keys.was_right(key):
            return Refusal(-(-wait_ms // 1_000))
        identity = self.keys.identify(key)
        if identity is None:
            self._throttle.failed(client, now_ms)
            return Refusal(0)
        return identity
