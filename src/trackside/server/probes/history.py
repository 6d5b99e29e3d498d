"""What happened to each check: kept at once, so that a restart neither forgets a retry nor tells of a down twice."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from trackside.server.db.database import Database
from trackside.server.probes import store
from trackside.server.probes.config import CheckConfig
from trackside.server.probes.result import ProbeResult
from trackside.server.probes.state import Condition, ProbeState
from trackside.server.probes.store import Change

_log = logging.getLogger("trackside.server.probes")
_TROUBLE = (Condition.DOWN, Condition.FLAPPING)


class ProbeHistory:
    def __init__(self, db: Database) -> None:
        self._db = db
        self.failures_total = 0
        """Writes that the disk refused."""
        db.create(store.SCHEMA)

    def state(self, check: CheckConfig) -> ProbeState | None:
        """What an earlier process concluded."""
        return self._db.read(partial(store.load, name=check.name, url=check.url))

    def note(
        self, check: CheckConfig, before: ProbeState, after: ProbeState, result: ProbeResult | None, now_ms: int
    ) -> None:
        """To be called after each look at the check. Does not wait for the disk."""
        if after == before:
            return
        change = None
        if after.condition is not before.condition:
            told = result if result is not None and after.condition in _TROUBLE else None
            change = Change(
                now_ms, after.condition, told.reason.value if told is not None else "", told.error if told else ""
            )
        self._db.write(partial(_kept, check.name, check.url, after, change)).add_done_callback(self._done)

    def changes(self, name: str, since_ms: int) -> Sequence[Change]:
        """Oldest first; the first one is the last before `since_ms`, when there is one. Not for the event loop."""
        return self._db.read(partial(store.changes, name=name, since_ms=since_ms))

    def _done(self, write: Future[None]) -> None:
        if not write.cancelled() and (error := write.exception()) is not None:
            # The next look at the check notes its state again. What is lost is a line of its history.
            self.failures_total += 1
            _log.warning("the state of a check could not be kept: %s", error)


def _kept(name: str, url: str, state: ProbeState, change: Change | None, connection: sqlite3.Connection) -> None:
    store.save(connection, name, url, state)
    if change is not None:
        store.log(connection, name, change)
