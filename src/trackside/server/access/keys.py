"""Keys: made once, kept as digests, and asked for at every door."""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from trackside.server.access import store
from trackside.server.access.roles import Identity, Role
from trackside.server.access.sessions import Sessions
from trackside.server.clock import Clock
from trackside.server.db.database import Database

ADMIN_FILE = "admin.key"
GENERATED = "admin (made at the first start)"
PREFIX = "ts_"
MAX_KEY_CHARS = 200
# A page asks several times a second; a key that another process revoked may open doors for this long at most.
BELIEVED_MS = 2_000
MAX_REMEMBERED = 1_000


class Keys:
    """The keys in the database, and the sessions they open. For one thread: that of the event loop."""

    def __init__(self, db: Database, data_dir: Path, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._admin_file = data_dir / ADMIN_FILE
        self._remembered: OrderedDict[bytes | int, tuple[int, Identity]] = OrderedDict()
        """Digest of a key, or its id, to (when the database last said so, whose it is)."""
        db.create(store.SCHEMA)
        signing = db.write(partial(store.secret, name="sessions", fresh=secrets.token_bytes(32))).result()
        self.sessions = Sessions(signing)

    def ensure_admin(self) -> str:
        """The admin key, made at the first start and kept readable for its owner only in `admin.key`.

        Deleting the file makes another one at the next start and revokes the old.
        """
        if self._admin_file.exists():
            # Copied or restored, it may have become readable for others.
            self._admin_file.chmod(0o600)
            key = self._admin_file.read_text(errors="replace").strip()
            known = self.identify(key)
            if known is not None and known.role is Role.ADMIN:
                return key
        key = _new_key()
        self.revoke(GENERATED)
        self._insert(GENERATED, Role.ADMIN, key)
        self._write_admin_file(key)
        return key

    def create(self, name: str, role: Role) -> str:
        """A new key; only its digest is kept."""
        key = _new_key()
        self._insert(name, role, key)
        return key

    def revoke(self, name: str) -> None:
        """End every key of this name, and the sessions it opened."""
        self._db.write(partial(store.revoke_named, name=name, now_ms=self._clock.now_ms())).result()
        for mark in [mark for mark, (_, identity) in self._remembered.items() if identity.name == name]:
            del self._remembered[mark]

    def identify(self, key: str) -> Identity | None:
        # What is looked up is a digest: how long the look-up takes tells nothing about the key.
        digest = _digest(key)
        return None if digest is None else self._whose(digest, partial(store.find, digest=digest))

    def was_right(self, key: str) -> bool:
        """Whether this key opened a door of this process before."""
        return _digest(key) in self._remembered

    def open_session(self, identity: Identity) -> str:
        """Value of the session cookie."""
        return self.sessions.sign(identity.key_id, self._clock.now_ms())

    def session(self, cookie: str) -> Identity | None:
        """Who has this session; None when it is over, forged, or its key was revoked."""
        key_id = self.sessions.key_id(cookie, self._clock.now_ms())
        if key_id is None:
            return None
        found = self._whose(key_id, partial(store.find_id, key_id=key_id))
        return None if found is None else replace(found, by_cookie=True)

    def _whose(self, mark: bytes | int, find: store.Find) -> Identity | None:
        now_ms = self._clock.now_ms()
        asked_ms, identity = self._remembered.get(mark, (0, None))
        if identity is not None and 0 <= now_ms - asked_ms < BELIEVED_MS:
            return identity
        self._remembered.pop(mark, None)
        found = self._db.read(find)
        if found is None:
            return None
        identity = Identity(found.key_id, found.name, Role(found.role), by_cookie=False)
        self._remembered[mark] = (now_ms, identity)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return identity

    def _insert(self, name: str, role: Role, key: str) -> None:
        digest, now_ms = sha256(key.encode()).digest(), self._clock.now_ms()
        self._db.write(partial(store.insert, name=name, role=role.value, digest=digest, now_ms=now_ms)).result()

    def _write_admin_file(self, key: str) -> None:
        # Private from its first moment, and never half written.
        fresh = self._admin_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
        fresh.replace(self._admin_file)


def _new_key() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _digest(key: str) -> bytes | None:
    """None for what can be no key."""
    if not key or len(key) > MAX_KEY_CHARS:
        return None
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
