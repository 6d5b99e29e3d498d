"""Keys: made once, kept as digests, and asked for at every door."""

from __future__ import annotations

import os
import secrets
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


class Keys:
    """The keys in the database, and the sessions they open."""

    def __init__(self, db: Database, data_dir: Path, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._admin_file = data_dir / ADMIN_FILE
        db.create(store.SCHEMA)
        signing = db.write(partial(store.secret, name="sessions", fresh=secrets.token_bytes(32))).result()
        self.sessions = Sessions(signing)

    def ensure_admin(self) -> str:
        """The admin key, made at the first start and kept readable for its owner only in `admin.key`.

        Deleting the file makes another one at the next start and revokes the old.
        """
        if self._admin_file.exists():
            key = self._admin_file.read_text().strip()
            if self.identify(key) is not None:
                return key
        key = self._new_key()
        self._db.write(partial(store.revoke_named, name=GENERATED, now_ms=self._clock.now_ms())).result()
        self._insert(GENERATED, Role.ADMIN, key)
        self._write_admin_file(key)
        return key

    def create(self, name: str, role: Role) -> str:
        """A new key; only its digest is kept."""
        key = self._new_key()
        self._insert(name, role, key)
        return key

    def identify(self, key: str) -> Identity | None:
        # What is looked up is a digest: how long the look-up takes tells nothing about the key.
        if not key or len(key) > MAX_KEY_CHARS:
            return None
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        return _identity(self._db.read(partial(store.find, digest=digest)), by_cookie=False)

    def open_session(self, identity: Identity) -> str:
        """Value of the session cookie."""
        return self.sessions.sign(identity.key_id, self._clock.now_ms())

    def session(self, cookie: str) -> Identity | None:
        """Who has this session; None when it is over, forged, or its key was revoked."""
        key_id = self.sessions.key_id(cookie, self._clock.now_ms())
        if key_id is None:
            return None
        return _identity(self._db.read(partial(store.find_id, key_id=key_id)), by_cookie=True)

    def _new_key(self) -> str:
        return PREFIX + secrets.token_urlsafe(32)

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


def _identity(found: store.StoredKey | None, *, by_cookie: bool) -> Identity | None:
    return None if found is None else Identity(found.key_id, found.name, Role(found.role), by_cookie)
