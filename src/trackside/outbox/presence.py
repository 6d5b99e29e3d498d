"""Who works on a queue: without it, a queue that nobody empties looks like one that is slow."""

from __future__ import annotations

import os
import socket
import time

from trackside.outbox.dialects import Connection, dialect_of, transaction

SCHEMA = """
create table if not exists {table}_workers (
    id text primary key,
    queue text not null,
    host text not null,
    process integer not null,
    started_at {moment} not null,
    beat_at {moment} not null,
    late_ms bigint not null
)
"""
_SAY = """
insert into {table}_workers (id, queue, host, process, started_at, beat_at, late_ms)
values (?, ?, ?, ?, {{moment}}, {{moment}}, {{now}} + ?)
on conflict (id) do update set beat_at = excluded.beat_at, late_ms = excluded.late_ms
"""
LATE_S = 60.0
"""No worker is silent for as long: whoever reads the table need not know how each was made."""
_KEPT_MS = 24 * 3_600_000
"""Who was killed cannot sign off; so long it is shown that he was here."""


class Presence:
    """One worker's row. Used by the worker's thread, and by the one that renews leases while that one is busy."""

    def __init__(self, table: str, queue: str, id: str, patience_s: float) -> None:
        """`patience_s`: so long after the last word of a worker it is taken for dead."""
        self.table = table
        self.queue = queue
        self.id = id
        self.patience_s = patience_s
        self._said_s: float | None = None

    def say(self, connection: Connection) -> None:
        """It lives. Written now and then only, however often it is called."""
        now_s = time.monotonic()
        is_first = self._said_s is None
        if self._said_s is not None and now_s - self._said_s < self.patience_s / 3:
            return
        dialect = dialect_of(connection)
        about = (self.id, self.queue, socket.gethostname(), os.getpid(), round(self.patience_s * 1000))
        with transaction(connection):
            dialect.run(connection, _SAY.format(table=self.table), about)
            if is_first:
                dialect.run(connection, f"delete from {self.table}_workers where late_ms < {{now}} - ?", (_KEPT_MS,))
        self._said_s = now_s

    def leave(self, connection: Connection) -> None:
        """It ends in order."""
        self._said_s = None
        with transaction(connection):
            dialect_of(connection).run(connection, f"delete from {self.table}_workers where id = ?", (self.id,))


def live_workers(connection: Connection, table: str, queue: str) -> int:
    """How many workers of the queue have said lately that they live."""
    query = f"select count(*) from {table}_workers where queue = ? and late_ms > {{now}}"
    return int(dialect_of(connection).rows(connection, query, (queue,))[0][0])
