"""Names of pictures that only this server can make: nobody guesses one, and each is good for some days. Pure."""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

LIFETIME_MS = 14 * 86_400_000
"""As long as people go back in a chat to see what was."""
NAME_BYTES, MAC_BYTES, TIME_BYTES = 16, 16, 5
SIGNED_CHARS = -(-(NAME_BYTES + MAC_BYTES + TIME_BYTES) * 4 // 3)


class SignedNames:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def name(self, key: str) -> bytes:
        """Of the picture for something, such as a delivery: the same each time, and telling nothing about it."""
        return self._mac(b"name", key.encode("utf-8", "replace"))[:NAME_BYTES]

    def signed(self, name: bytes, expires_ms: int) -> str:
        """As it stands in an address."""
        note = (expires_ms // 1_000).to_bytes(TIME_BYTES, "big") + name
        return urlsafe_b64encode(note + self._mac(b"link", note)).decode().rstrip("=")

    def checked(self, signed: str, now_ms: int) -> bytes | None:
        """The name; None when it was not signed here, or is too old."""
        if len(signed) != SIGNED_CHARS or not signed.isascii():
            return None
        try:
            given = urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
        except binascii.Error:
            return None
        note, mac = given[:-MAC_BYTES], given[-MAC_BYTES:]
        if not hmac.compare_digest(self._mac(b"link", note), mac) or self.signed_again(given) != signed:
            return None
        expires_ms = int.from_bytes(note[:TIME_BYTES], "big") * 1_000
        return note[TIME_BYTES:] if now_ms < expires_ms else None

    @staticmethod
    def signed_again(given: bytes) -> str:
        """The one way in which these bytes are written: a name has one address."""
        return urlsafe_b64encode(given).decode().rstrip("=")

    def _mac(self, use: bytes, note: bytes) -> bytes:
        return hmac.new(self._secret, use + b"\0" + note, sha256).digest()[:MAC_BYTES]
