"""All silences: made, changed and ended on the disk before anybody is told that they are."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from uuid import uuid4

from trackside.exceptions import StorageError
from trackside.model.labels import Labels
from trackside.server.alerting.selection import Selection
from trackside.server.alerting.silences import store
from trackside.server.alerting.silences.silence import (
    Refused,
    Silence,
    SilenceError,
    SilenceLimits,
    SilenceState,
    expired,
    listed,
    wanted,
)
from trackside.server.alerting.silences.until_resolved import fulfilled, lasts_until_resolved
from trackside.server.db.database import Database

RETENTION_MS = 120 * 3_600_000
"""How long an expired silence can still be looked up, as in Alertmanager."""


class Silences:
    def __init__(
        self, db: Database, limits: SilenceLimits | None = None, new_id: Callable[[], str] = lambda: str(uuid4())
    ) -> None:
        db.create(store.SCHEMA)
        self._db = db
        self._limits = limits or SilenceLimits()
        self._new_id = new_id
        # One change at a time: each is decided by what the one before it left.
        self._changing = asyncio.Lock()
        self._silences = {silence.silence_id: silence for silence in db.read(store.load)}
        self._selection = self._selected()

    def __len__(self) -> int:
        return len(self._silences)

    def all(self, now_ms: int) -> Sequence[Silence]:
        return listed(self._silences.values(), now_ms)

    def get(self, silence_id: str) -> Silence | None:
        return self._silences.get(silence_id)

    def silencing(self, labels: Labels, now_ms: int) -> tuple[str, ...]:
        """Ids of the active silences of an alert with these labels."""
        found = self._selection.holding(labels)
        if not found:
            return ()
        return tuple(one for one in found if self._silences[one].state(now_ms) is SilenceState.ACTIVE)

    def count(self, now_ms: int) -> dict[SilenceState, int]:
        counts = dict.fromkeys(SilenceState, 0)
        for silence in self._silences.values():
            counts[silence.state(now_ms)] += 1
        return counts

    async def put(self, draft: Silence, now_ms: int) -> Silence:
        """
        Raises:
            SilenceError: it cannot be made, or changed so.
            StorageError: it cannot be stored, and so does not hold.
        """
        async with self._changing:
            change = wanted(draft, self._silences, self._limits, self._new_id(), now_ms)
            await self._store(change.silences)
            return change.made

    async def expire(self, silence_id: str, now_ms: int) -> None:
        """End it now; that one is over already is no mistake.

        Raises:
            SilenceError: there is none of this id.
            StorageError: it cannot be stored, and so goes on.
        """
        async with self._changing:
            silence = self._silences.get(silence_id)
            if silence is None:
                raise SilenceError(f"silence {silence_id} not found", Refused.UNKNOWN)
            if silence.state(now_ms) is not SilenceState.EXPIRED:
                await self._store((expired(silence, now_ms),))

    async def end_fulfilled(self, firing: Callable[[], Collection[Labels]], now_ms: int) -> None:
        """End those that last until what they silence is over, once it is; one that cannot be stored is tried again."""
        waiting = [one for one in self._silences.values() if lasts_until_resolved(one) and one.ends_ms > now_ms]
        for silence_id in fulfilled(waiting, firing(), now_ms) if waiting else ():
            with contextlib.suppress(StorageError):
                await self.expire(silence_id, now_ms)

    async def forget_old(self, now_ms: int) -> None:
        """Let go of what has been over for long."""
        async with self._changing:
            old = [one.silence_id for one in self._silences.values() if one.ends_ms < now_ms - RETENTION_MS]
            if old:
                await _committed(lambda: asyncio.wrap_future(self._db.write(store.forget(old))))
                for silence_id in old:
                    del self._silences[silence_id]
                self._selection = self._selected()

    async def _store(self, silences: Iterable[Silence]) -> None:
        kept = tuple(silences)
        await _committed(lambda: asyncio.wrap_future(self._db.write(store.save(kept), durable=True)))
        self._silences |= {silence.silence_id: silence for silence in kept}
        self._selection = self._selected()

    def _selected(self) -> Selection[str]:
        return Selection((silence.silence_id, silence.matchers) for silence in self._silences.values())


async def _committed(write: Callable[[], Awaitable[object]]) -> None:
    try:
        await write()
    except sqlite3.Error as error:
        raise StorageError(f"the silence cannot be stored: {error}") from error
