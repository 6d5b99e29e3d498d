"""All heartbeats of the configuration: their keys, what was heard of them, and that it is kept."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from trackside.exceptions import ConfigError
from trackside.model.metrics import MetricFamily
from trackside.server.access.store import SCHEMA as SECRET_SCHEMA
from trackside.server.access.store import secret
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.probes.heartbeats import store
from trackside.server.probes.heartbeats.allowance import Allowance
from trackside.server.probes.heartbeats.collector import heartbeat_families
from trackside.server.probes.heartbeats.config import HeartbeatConfig
from trackside.server.probes.heartbeats.state import Heartbeat, HeartbeatNow, Ping, Plan, heartbeat_now, pinged
from trackside.server.probes.maintenance import MaintenanceConfig

KEY_BYTES = 24


@dataclass(frozen=True, slots=True)
class HeartbeatView:
    """One heartbeat as pages show it."""

    config: HeartbeatConfig
    key: str
    heartbeat: Heartbeat
    now: HeartbeatNow
    in_maintenance: bool = False
    """Nobody is to be told of its trouble now."""


@dataclass(slots=True)
class _Entry:
    config: HeartbeatConfig
    plan: Plan
    key: str
    heartbeat: Heartbeat
    allowance: Allowance
    windows: Sequence[MaintenanceConfig]


class Heartbeats:
    """Lives on the event loop. What a ping says is in the database before it is answered."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        db.create(store.SCHEMA, SECRET_SCHEMA)
        fresh = secrets.token_bytes(32)
        self._secret = db.write(partial(secret, name="heartbeats", fresh=fresh)).result()
        self._entries: dict[str, _Entry] = {}
        self._by_digest: dict[bytes, str] = {}

    def apply(self, configs: Sequence[HeartbeatConfig], maintenance: Sequence[MaintenanceConfig] = ()) -> None:
        """Expect these from now on. One that is taken out is forgotten only when its name is used for another.

        Raises:
            ConfigError: two of them have the same key; nothing has changed then.
        """
        keys = {config.name: config.key.get_secret_value() or self._derived(config.name) for config in configs}
        by_digest = {_digest(key): name for name, key in keys.items()}
        if len(by_digest) < len(keys):
            raise ConfigError("uptime.heartbeats: two of them have the same key; each needs its own")
        known = self._db.write(partial(_loaded, [config.name for config in configs], self._clock.now_ms())).result()
        self._entries = {
            config.name: _Entry(
                config,
                Plan.of(config),
                keys[config.name],
                known[config.name],
                self._allowance(config),
                [window for window in maintenance if window.concerns(config.name, "")],
            )
            for config in configs
        }
        self._by_digest = by_digest

    def find(self, key: str) -> str | None:
        """The name of the heartbeat with this key."""
        # What is looked up is a digest: how long it takes tells nothing about the key.
        return self._by_digest.get(_digest(key))

    def wait_ms(self, name: str) -> int:
        """0: a ping may come now, and is counted; else how long it has to wait."""
        entry = self._entries.get(name)
        return 0 if entry is None else entry.allowance.take(self._clock.now_ms())

    async def ping(self, name: str, ping: Ping, client: str = "") -> None:
        """Note a ping; it is kept when this returns.

        Raises:
            sqlite3.Error: it could not be kept: the job has to be told.
        """
        entry = self._entries[name]
        work = partial(_noted, name, ping, entry.plan, client)
        entry.heartbeat = await asyncio.wrap_future(self._db.write(work, durable=True))

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def views(self) -> list[HeartbeatView]:
        now_ms = self._clock.now_ms()
        return [
            HeartbeatView(
                one.config,
                one.key,
                one.heartbeat,
                heartbeat_now(one.heartbeat, one.plan, now_ms),
                any(window.covers(now_ms) for window in one.windows),
            )
            for one in self._entries.values()
        ]

    def pings(self, name: str, count: int = 50) -> Sequence[store.StoredPing]:
        """The last ones, latest first. Reads the database: not for the event loop."""
        return self._db.read(partial(store.pings, name=name, count=count))

    def families(self) -> list[MetricFamily]:
        return heartbeat_families(
            [(one.config.name, one.heartbeat, one.now, one.in_maintenance) for one in self.views()]
        )

    def _allowance(self, config: HeartbeatConfig) -> Allowance:
        old = self._entries.get(config.name)
        if old is not None and old.config.rate_per_minute == config.rate_per_minute:
            return old.allowance
        return Allowance(config.rate_per_minute)

    def _derived(self, name: str) -> str:
        """Unguessable without the secret, and the same after every restart without being kept."""
        digest = hmac.new(self._secret, name.encode(), sha256).digest()
        return urlsafe_b64encode(digest[:KEY_BYTES]).decode("ascii")


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "replace")).digest()


def _loaded(names: Sequence[str], now_ms: int, connection: sqlite3.Connection) -> dict[str, Heartbeat]:
    found: dict[str, Heartbeat] = {}
    for name in names:
        stored = store.load(connection, name)
        if stored is None:
            stored = Heartbeat(now_ms)
            store.save(connection, name, stored)
        found[name] = stored
    return found


def _noted(name: str, ping: Ping, plan: Plan, client: str, connection: sqlite3.Connection) -> Heartbeat:
    before = store.load(connection, name) or Heartbeat(ping.at_ms)
    after = pinged(before, ping, plan)
    store.save(connection, name, after)
    store.log(connection, name, ping, client)
    return after
