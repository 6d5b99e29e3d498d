"""Pictures that chats fetch by an address of this server, since their APIs take nothing else."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock
from urllib.parse import urlsplit

from trackside.server.access import store as secrets_store
from trackside.server.charts import store
from trackside.server.charts.names import LIFETIME_MS, SignedNames
from trackside.server.db.database import Database

PATH = "/charts/"
SUFFIX = ".png"
REMEMBERED = 64
"""Pictures at hand: a chat with a thousand readers asks once for each, within a minute."""


class Gallery:
    def __init__(self, db: Database, external_url: str, now_ms: Callable[[], int]) -> None:
        db.create(secrets_store.SCHEMA, store.SCHEMA)
        fresh = secrets.token_bytes(32)
        self._names = SignedNames(db.write(partial(secrets_store.secret, name="charts", fresh=fresh)).result())
        self._db, self._now_ms = db, now_ms
        self._address = f"{external_url}{PATH}" if is_reachable(external_url) else ""
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    @property
    def is_open(self) -> bool:
        """Whether others than this machine can fetch anything."""
        return bool(self._address)

    async def hang(self, key: str, png: bytes) -> str:
        """The address of a picture, which is there before it is told. `key`: what it belongs to; the next one for the
        same takes its place."""
        now_ms = self._now_ms()
        name, expires_ms = self._names.name(key), now_ms + LIFETIME_MS
        work = partial(store.save, name=name, expires_ms=expires_ms, png=png, now_ms=now_ms)
        await asyncio.wrap_future(self._db.write(work))
        self._remember(name, png)
        return f"{self._address}{self._names.signed(name, expires_ms)}{SUFFIX}"

    def checked(self, signed: str) -> bytes | None:
        """The name of a picture; None for what was not signed here, or is too old. Costs next to nothing."""
        return self._names.checked(signed, self._now_ms())

    def find(self, name: bytes) -> bytes | None:
        """The picture. On any thread."""
        with self._lock:
            found = self._recent.get(name)
        if found is None:
            found = self._db.read(partial(store.find, name=name))
            if found is not None:
                self._remember(name, found)
        return found

    def _remember(self, name: bytes, png: bytes) -> None:
        with self._lock:
            self._recent[name] = png
            self._recent.move_to_end(name)
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)


def is_reachable(url: str) -> bool:
    """Whether another machine may get there. A name is believed, since who can look it up is not known here."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and host != "localhost" and not host.endswith(".localhost")
    return not (address.is_loopback or address.is_unspecified)
