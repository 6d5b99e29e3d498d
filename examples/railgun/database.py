"""The tables, and all that is asked of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Index, create_engine, event, or_, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from railgun.incidents import SLOWNESS
from railgun.monitoring import monitor
from railgun.settings import DATABASE_URL

_UP_WITHIN_S = 30.0
_SLOW_S = 2.4

engine = create_engine(DATABASE_URL, pool_pre_ping=True)
monitor.watch(engine)
_Session = sessionmaker(engine, expire_on_commit=False)

if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _as_with_a_server(connection: Any, record: Any) -> None:
        """Readers do not wait for the writer, and a writer waits; and it sleeps by the same name."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.create_function("pg_sleep", 1, time.sleep)


class _Table(DeclarativeBase):
    pass


class Member(_Table):
    __tablename__ = "members"
    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]


class Message(_Table):
    """In a channel, or from one member to another."""

    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str]
    channel_id: Mapped[str | None]
    recipient: Mapped[str | None]
    text: Mapped[str]
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    __table_args__ = (
        Index("messages_of_channel", "channel_id", "id"),
        Index("messages_to_member", "recipient", "id"),
        Index("messages_from_member", "sender", "id"),
    )

    def shown(self) -> dict[str, Any]:
        place = {"to": self.recipient} if self.channel_id is None else {"channel_id": self.channel_id}
        return {"id": self.id, "from": self.sender, **place, "text": self.text, "sent_at": self.sent_at.isoformat()}


def create_tables() -> None:
    """Once the database is there: what starts together does not come up together."""
    until_s = time.monotonic() + _UP_WITHIN_S
    while True:
        try:
            _Table.metadata.create_all(engine)
            return
        except (OperationalError, IntegrityError):
            # The latter: another process has just created the same table.
            if time.monotonic() > until_s:
                raise
            time.sleep(0.2)


def answers() -> None:
    """The health check of the database: raises when it does not answer."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))


def add_member(name: str, password_hash: str) -> bool:
    """Whether the name was free."""
    try:
        with _Session.begin() as session:
            session.add(Member(name=name, password_hash=password_hash))
    except IntegrityError:
        return False
    return True


def password_hash_of(name: str) -> str | None:
    with _Session() as session:
        member = session.get(Member, name)
        return None if member is None else member.password_hash


def add_message(sender: str, content: str, *, channel_id: str | None = None, recipient: str | None = None) -> Message:
    with _Session.begin() as session:
        message = Message(sender=sender, channel_id=channel_id, recipient=recipient, text=content)
        session.add(message)
        session.flush()
        return message


def channel_messages(channel_id: str, limit: int) -> list[dict[str, Any]]:
    return _newest(Message.channel_id == channel_id, limit=limit)


def direct_messages(one: str, other: str, limit: int) -> list[dict[str, Any]]:
    """Between the two of them."""
    if SLOWNESS.is_on_now():
        with engine.connect() as connection:
            connection.execute(text("select pg_sleep(:seconds)"), {"seconds": _SLOW_S})
    pairs = ((one, other), (other, one))
    return _newest(
        or_(*((Message.sender == sender) & (Message.recipient == recipient) for sender, recipient in pairs)),
        limit=limit,
    )


def found_messages(words: str, limit: int) -> list[dict[str, Any]]:
    """In channels: what was said between two stays between them."""
    return _newest(Message.channel_id.is_not(None), Message.text.contains(words, autoescape=True), limit=limit)


def _newest(*conditions: ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
    with _Session() as session:
        found: Sequence[Message] = session.scalars(
            select(Message).where(*conditions).order_by(Message.id.desc()).limit(limit)
        ).all()
        return [message.shown() for message in found]
