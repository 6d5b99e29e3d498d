"""The tables, and the engine."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, create_engine, text

from ingestion_server.monitoring import monitor
from ingestion_server.settings import DATABASE_URL

engine = create_engine(DATABASE_URL)
monitor.watch(engine)

_tables = MetaData()

samples = Table(
    "samples",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("session_id", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("value", Float, nullable=False),
)

sessions = Table(
    "sessions",
    _tables,
    Column("id", String, primary_key=True),
    Column("user_id", String, nullable=False, index=True),
    Column("relay", String, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("samples", Integer, nullable=False),
)


def create_tables() -> None:
    _tables.create_all(engine)


def answers() -> None:
    """The health check of the database: raises when it does not answer."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))
