"""Writes records into the database in batches: a transaction for each would be the slowest part of the server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.exc import SQLAlchemyError

from ingestion_server.database import engine
from ingestion_server.messages import DatabaseBehindError
from ingestion_server.monitoring import monitor
from ingestion_server.settings import BATCH_SIZE, MAX_PENDING, WRITE_EVERY_S

Record = dict[str, Any]


class Writer:
    """Of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pending: deque[Record] = deque()
        monitor.pending_writes(table.name).set_function(lambda: len(self._pending))

    def add(self, records: Iterable[Record]) -> None:
        self._pending.extend(records)

    def check_room(self) -> None:
        """
        Raises:
            DatabaseBehindError: nothing more should be added now.
        """
        if len(self._pending) >= MAX_PENDING:
            raise DatabaseBehindError(f"{len(self._pending)} records wait for the database")

    async def write_pending(self) -> None:
        """All that waits at this moment, the oldest first. A batch that fails waits on; the next call tries it again.

        Raises:
            SQLAlchemyError: the database refused a batch, or is not there.
        """
        for _ in range(-(-len(self._pending) // BATCH_SIZE)):
            batch = list(islice(self._pending, BATCH_SIZE))
            await asyncio.to_thread(self._insert, batch)
            for _ in batch:
                self._pending.popleft()

    def _insert(self, batch: list[Record]) -> None:
        with monitor.db_write(self._table.name, records=len(batch)), engine.begin() as connection:
            connection.execute(insert(self._table), batch)


async def write_until(stopping: asyncio.Event, writers: Sequence[Writer]) -> None:
    """And once more then. Not to be cancelled: a batch would be in the database and still wait, to be written again."""
    # When it ends, the server is not ready: without it samples would pile up, and nothing else would say so.
    beat = monitor.beat("writer", every=WRITE_EVERY_S)
    while not stopping.is_set():
        await _write(writers)
        beat()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), WRITE_EVERY_S)
    await _write(writers)


async def _write(writers: Sequence[Writer]) -> None:
    for writer in writers:
        # An error is counted where it happens, in db_write_errors_total; what waits on shows in pending_writes.
        with suppress(SQLAlchemyError):
            await writer.write_pending()
