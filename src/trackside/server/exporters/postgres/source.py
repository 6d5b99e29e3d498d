"""A PostgreSQL server as a target of the scrape loop: one connection, kept open, that can only read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, cast

from trackside.server.clock import Clock
from trackside.server.exporters.families import Families
from trackside.server.exporters.page import MakePage, PageT, reason_of
from trackside.server.exporters.postgres import store
from trackside.server.exporters.postgres.families import COLLECTORS, UNKNOWN, Collector
from trackside.wire import exposition

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PORT = 5432


@dataclass(frozen=True, slots=True)
class _About:
    text: str
    version: int
    in_recovery: bool


@dataclass(slots=True)
class _Asking:
    """How far one scrape has come."""

    families: Families
    """With the label `server`."""
    plain: Families = field(default_factory=Families)
    answered: int = 0
    """Questions, the first one about the server itself not counted."""
    failed: int = 0


class PostgresSource(Generic[PageT]):
    def __init__(self, url: str, server: str, timeout_s: float, clock: Clock, page: MakePage[PageT]) -> None:
        """`server`: host:port, the label of that name."""
        self._url, self._server, self._timeout_s = url, server, timeout_s
        self._clock, self._page = clock, page
        self.collectors: Sequence[Collector] = COLLECTORS
        self._connection: AsyncConnection[Any] | None = None
        self._scrapes = 0

    async def pull(self, now_ms: int) -> PageT:
        """Called by one loop at a time. Never raises: a database that is down is an answer."""
        started_s = self._clock.monotonic_s()
        self._scrapes += 1
        asking, problem = _Asking(Families({"server": self._server})), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._asked(asking)
        except TimeoutError:
            await self.close()
            # A question that takes too long costs its answer and those behind it, and is no database that is down.
            problem = "" if asking.answered else f"no complete answer within {self._timeout_s:g} s"
            asking.failed += 1
        except Exception as error:  # noqa: BLE001 - whatever a server answers, only its own scrape fails
            await self.close()
            problem = reason_of(error)
        if problem:
            asking = _Asking(Families())
        plain = asking.plain
        plain.gauge("pg_up", "Whether the database could be asked.", not problem)
        failed = bool(problem or asking.failed)
        plain.gauge("pg_exporter_last_scrape_error", "Whether a question failed.", failed)
        plain.gauge(
            "pg_exporter_last_scrape_duration_seconds", "How long it took.", self._clock.monotonic_s() - started_s
        )
        plain.counter("pg_exporter_scrapes_total", "How often it was asked.", self._scrapes)
        return self._page(exposition.render([*asking.families.all(), *plain.all()]), problem)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _asked(self, asking: _Asking) -> None:
        connection = await self._connected()
        about = await _about(connection)
        version = {"version": about.text, "short_version": _short(about.version)}
        asking.families.add("pg_static", UNKNOWN, "Version of the server.", 1, version)
        asking.plain.gauge("pg_replication_is_replica", "Whether it is a copy of another server.", about.in_recovery)
        wanted = [collector for collector in self.collectors if about.version >= collector.since]
        for collector in wanted:
            # Until it is answered.
            _tell_success(asking, collector, 0)
        for collector in wanted:
            started_s = self._clock.monotonic_s()
            succeeded = await _told(connection, collector, asking.families)
            asking.answered += succeeded
            asking.failed += not succeeded
            _tell_success(asking, collector, succeeded)
            took_s = self._clock.monotonic_s() - started_s
            text = "How long the question took."
            asking.plain.gauge("pg_scrape_collector_duration_seconds", text, took_s, collector=collector.name)

    async def _connected(self) -> AsyncConnection[Any]:
        import psycopg  # noqa: PLC0415 - only who asks a PostgreSQL server needs its client
        from psycopg.rows import dict_row  # noqa: PLC0415 - as above

        if self._connection is None or self._connection.closed:
            connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                row_factory=dict_row,
                application_name="trackside",
                connect_timeout=max(1, round(self._timeout_s)),
                # Poolers give each statement another connection: what was prepared on one is not there on the next.
                prepare_threshold=None,
            )
            self._connection = cast("AsyncConnection[Any]", connection)
            # Less than there is for all of them: one that is slow must leave time for the others.
            timeout = f"{round(self._timeout_s * 500)}ms"
            await connection.execute(store.READ_ONLY)
            await connection.execute(store.TIMEOUTS, (timeout, timeout))
        return self._connection


async def _about(connection: AsyncConnection[Any]) -> _About:
    cursor = await connection.execute(store.VERSION)
    row = await cursor.fetchone() or {}
    return _About(*row.values())


async def _told(connection: AsyncConnection[Any], collector: Collector, families: Families) -> bool:
    """Whether it was answered."""
    import psycopg  # noqa: PLC0415 - only who asks a PostgreSQL server needs its client

    try:
        cursor = await connection.execute(cast("Any", collector.sql), collector.parameters)
        collector.told(families, await cursor.fetchall())
    except psycopg.Error:
        # Not every role may ask everything, and not every server has every view.
        if connection.broken:
            raise
        return False
    return True


def _tell_success(asking: _Asking, collector: Collector, succeeded: float) -> None:
    text = "Whether the question was answered."
    asking.plain.gauge("pg_scrape_collector_success", text, succeeded, collector=collector.name)


def _short(version: int) -> str:
    """15.18.0, of 150018."""
    return f"{version // 10_000}.{version % 10_000}.0"
