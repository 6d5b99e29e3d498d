"""What is committed together: many small changes wait for the disk once, not one after the other."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence

from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.rows import all_of
from trackside.server.db.database import Database, Work

_log = logging.getLogger("trackside.server")


class Commits:
    """Belongs to one event loop."""

    def __init__(self, db: Database, metrics: AlertingMetrics) -> None:
        self._db, self._metrics = db, metrics
        self._waiting: list[Sequence[Work]] = []
        self._next: asyncio.Task[None] | None = None
        """The commit that will take what waits."""
        self._busy = asyncio.Lock()

    async def durably(self, works: Sequence[Work]) -> None:
        """When this returns, they survive a power cut; or they could not be written, which is counted. They are in one
        transaction, perhaps with those of others that came meanwhile."""
        self._waiting.append(works)
        if self._next is None:
            self._next = asyncio.create_task(self._commit_waiting())
        # Whoever gives up waiting must not take the others' commit along.
        await asyncio.shield(self._next)

    async def soon(self, works: Sequence[Work]) -> None:
        """When this returns, they survive the end of the process."""
        await self._commit([works], durable=False)

    async def _commit_waiting(self) -> None:
        async with self._busy:
            waiting, self._waiting, self._next = self._waiting, [], None
            await self._commit(waiting, durable=True)

    async def _commit(self, waiting: Sequence[Sequence[Work]], *, durable: bool) -> None:
        work = all_of(one for works in waiting for one in works)
        try:
            await asyncio.wrap_future(self._db.write(work, durable=durable))
        except sqlite3.Error as error:
            if len(waiting) > 1:
                # What one of them cannot write must not take the others along.
                for works in waiting:
                    await self._commit([works], durable=durable)
                return
            # A full disk must not keep anyone from being told.
            self._metrics.state_write_failures.inc()
            _log.warning("cannot save the state of alerting: %s", error)
