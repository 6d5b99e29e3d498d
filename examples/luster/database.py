"""The tables, and the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Index, LargeBinary, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from luster.monitoring import monitor
from luster.settings import DATABASE_URL

engine = create_engine(DATABASE_URL, pool_pre_ping=True)
monitor.watch(engine)
Session = sessionmaker(engine, expire_on_commit=False)

if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _several_processes(connection: Any, record: Any) -> None:
        """One file for all of them: readers must not wait for the writer, and a writer must wait, not fail."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA busy_timeout = 10000")


def now() -> datetime:
    return datetime.now(UTC)


class Table(DeclarativeBase):
    pass


class Image(Table):
    __tablename__ = "images"
    id: Mapped[int] = mapped_column(primary_key=True)
    prompt: Mapped[str]
    png: Mapped[bytes | None] = mapped_column(LargeBinary)
    thumbnail: Mapped[bytes | None] = mapped_column(LargeBinary)
    caption: Mapped[str | None]


_LIVE = text("status in ('queued', 'processing')")
_ENDED = text("finished_at is not null")


class Job(Table):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    queue: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default="queued")
    """queued, processing, succeeded or failed."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    run_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=now)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    worker: Mapped[str | None]
    error: Mapped[str | None]
    cost_usd: Mapped[float | None]
    trace: Mapped[dict[str, str]] = mapped_column(JSON)
    __table_args__ = (
        # What `trackside check` advises: with millions of rows that have ended, each look costs the same.
        Index("jobs_live", "status", "queue", "run_at", "created_at", postgresql_where=_LIVE, sqlite_where=_LIVE),
        Index("jobs_ended", "finished_at", "id", postgresql_where=_ENDED, sqlite_where=_ENDED),
    )


class Worker(Table):
    """The SQL workers, by themselves: an idle one would not be seen otherwise."""

    __tablename__ = "workers"
    name: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str]
    beat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def create_tables() -> None:
    """Whichever process is first. Two at once would both find nothing and both create it."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(7391)"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        Table.metadata.create_all(connection)


def answers() -> None:
    """The health check of the database: raises when it does not answer."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))
