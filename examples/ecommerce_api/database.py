"""The tables, and the engine with its pool of twenty connections."""

from __future__ import annotations

from sqlalchemy import ForeignKey, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from ecommerce_api.monitoring import monitor
from ecommerce_api.settings import DATABASE_URL, POOL_SIZE, POOL_TIMEOUT_S

engine = create_engine(DATABASE_URL, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=POOL_TIMEOUT_S)
monitor.watch(engine)

# Objects stay readable after their session: they go into caches.
Session = sessionmaker(engine, expire_on_commit=False)


class Table(DeclarativeBase):
    pass


class Archetype(Table):
    __tablename__ = "archetypes"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Customer(Table):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    archetype_id: Mapped[int] = mapped_column(ForeignKey("archetypes.id"))
    orders: Mapped[int]
    days_since_order: Mapped[int]
    lifetime_value: Mapped[float]
    churn_risk: Mapped[float] = mapped_column(index=True)
    """From 0 to 1, computed by the import."""


def create_tables() -> None:
    Table.metadata.create_all(engine)


def answers() -> None:
    """The health check of the database: raises when it does not answer."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))
