"""One file, one writing thread, many readers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock, local
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]
"""What is done within a transaction."""


class Database:
    """`write` and `read` take a function of a connection, so that SQL never leaves the store modules.

    All writes run on one thread, each in its own transaction: SQLite has a single writer anyway, and a
    queue in front of it is faster and simpler than retrying on SQLITE_BUSY.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="trackside-db-writer")
        self._write_connection = self._writer.submit(self._connect).result()
        self._readers = local()
        self._open: list[sqlite3.Connection] = []
        self._open_lock = Lock()
        self._closed = False

    def create(self, *schemas: str) -> None:
        """Make the tables that are missing. Not a `write`: executescript() commits by itself."""
        self._writer.submit(self._write_connection.executescript, "".join(schemas)).result()

    def add_columns(self, columns: Mapping[str, Iterable[str]]) -> None:
        """Give tables of an older version what they lack. `columns`: their definitions, by table."""
        self.write(partial(_add_columns, columns=columns)).result()

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> Future[T]:
        """Run `work` in a transaction on the writing thread; an exception rolls it back.

        `durable`: what was committed survives a power cut too, for the price of waiting for the disk.
        """
        return self._writer.submit(self._durably if durable else self._in_transaction, work)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` here and now, on this thread's own read-only connection."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
            with self._open_lock:
                self._open.append(connection)
        return work(connection)

    def reclaim(self, pages: int) -> Future[int]:
        """Give up to `pages` unused pages back to the file system; how many are left unused."""
        return self._writer.submit(self._reclaim, pages)

    def close(self) -> None:
        """Let queued writes finish, then close. Once is enough, twice does no harm."""
        if not self._closed:
            self._closed = True
            self._writer.submit(self._write_connection.close).result()
        self._writer.shutdown()
        with self._open_lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        # Has effect only on a file without tables, and only before the journal mode writes the first page.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing with NORMAL; a power cut loses the last transactions, and corrupts nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        # A burst of writes must not leave a log of its own size behind.
        connection.execute("PRAGMA journal_size_limit = 16777216")
        return connection

    def _durably(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # It has no effect within a transaction, and holds for all that follow.
        self._write_connection.execute("PRAGMA synchronous = FULL")
        try:
            return self._in_transaction(work)
        finally:
            self._write_connection.execute("PRAGMA synchronous = NORMAL")

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._write_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors (a full disk), and refuses to do it twice.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _reclaim(self, pages: int) -> int:
        connection = self._write_connection
        # execute() would take one step, and one step frees one page.
        connection.executescript(f"PRAGMA incremental_vacuum({int(pages)})")
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        return int(left)


def _add_columns(connection: sqlite3.Connection, columns: Mapping[str, Iterable[str]]) -> None:
    for table, definitions in columns.items():
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        for definition in definitions:
            if definition.split()[0] not in known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
