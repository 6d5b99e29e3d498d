"""Sessions of browsers: a signed note of who logged in and until when. Pure."""

from __future__ import annotations

import hmac
from hashlib import sha256

LIFETIME_MS = 30 * 86_400_000
MAX_COOKIE_CHARS = 200


class Sessions:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, key_id: int, now_ms: int) -> str:
        """`key.expiry.signature`"""
        note = f"{key_id}.{now_ms + LIFETIME_MS}"
        return f"{note}.{self._signature(note)}"

    def key_id(self, cookie: str, now_ms: int) -> int | None:
        """Id of the key that opened the session; None when it is over or not ours."""
        if len(cookie) > MAX_COOKIE_CHARS or not cookie.isascii():
            return None
        note, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(note), signature):
            return None
        key_id, _, expires_ms = note.partition(".")
        return int(key_id) if now_ms < int(expires_ms) else None

    def _signature(self, note: str) -> str:
        return hmac.new(self._secret, note.encode("ascii"), sha256).hexdigest()
