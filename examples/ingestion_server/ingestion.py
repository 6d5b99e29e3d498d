"""Who is there, and what becomes of their messages: a session begins, samples go to buffer and database, it ends."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from ingestion_server.buffer import Buffer
from ingestion_server.messages import Message, NoSessionError, Samples, SessionExistsError, SessionStart
from ingestion_server.monitoring import monitor
from ingestion_server.settings import BUFFER_CAPACITY, FORGET_AFTER_S
from ingestion_server.writer import Writer

NOBODY = "(unknown)"

# Here and not at the first session, so that "no session" is a 0 and not a gap.
_sessions = monitor.sessions


@dataclass(frozen=True, slots=True, eq=False)
class Relay:
    """One connection of an edge relay: a relay that connects again is another, whatever its name."""

    name: str


@dataclass(slots=True)
class Session:
    user_id: str
    relay: Relay
    began_at: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    samples: int = 0


@dataclass(slots=True)
class User:
    buffer: Buffer
    session: Session | None = None
    has_consumer: bool = False
    seen_at: float = field(default_factory=time.time)


class Ingestion:
    def __init__(self, samples: Writer, sessions: Writer) -> None:
        self._samples = samples
        self._sessions = sessions
        self._users: dict[str, User] = {}

    def user(self, user_id: str) -> User:
        """Made when it is not known."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = User(Buffer(user_id, BUFFER_CAPACITY))
        user.seen_at = time.time()
        return user

    def known(self, user_id: str) -> str:
        """As a label: whoever was never here is nobody. Senders must not be able to make series up."""
        return user_id if user_id in self._users else NOBODY

    def process(self, message: Message, relay: Relay) -> None:
        """
        Raises:
            RefusedError: it is not processed, nothing of it.
        """
        if isinstance(message, SessionStart):
            self._begin(message.user_id, relay)
        elif isinstance(message, Samples):
            self._take(message, relay)
        else:
            self._end(self._session_of(message.user_id, relay))

    def relay_gone(self, relay: Relay) -> None:
        """Its sessions end with it."""
        sessions = [user.session for user in self._users.values() if user.session is not None]
        for session in sessions:
            if session.relay is relay:
                self._end(session)

    def forget_idle(self) -> None:
        """A series for each user is the most expensive thing here: keep them for those who are there."""
        oldest = time.time() - FORGET_AFTER_S
        for user_id, user in list(self._users.items()):
            if user.session is None and not user.has_consumer and user.seen_at < oldest:
                del self._users[user_id]
                user.buffer.close()
                monitor.messages.forget(user_id)

    def _begin(self, user_id: str, relay: Relay) -> None:
        user = self.user(user_id)
        if user.session is not None:
            raise SessionExistsError(f"{user_id} has a session already")
        user.session = Session(user_id, relay, time.time())
        _sessions.created()

    def _take(self, message: Samples, relay: Relay) -> None:
        session = self._session_of(message.user_id, relay)
        self._samples.check_room()
        self.user(message.user_id).buffer.put(message.samples)
        self._samples.add(
            {"session_id": session.id, "at": sample.at, "value": sample.value} for sample in message.samples
        )
        session.samples += len(message.samples)

    def _end(self, session: Session) -> None:
        self.user(session.user_id).session = None
        self._sessions.add(
            [
                {
                    "id": session.id,
                    "user_id": session.user_id,
                    "relay": session.relay.name,
                    "began_at": session.began_at,
                    "ended_at": time.time(),
                    "samples": session.samples,
                }
            ]
        )
        _sessions.ended()

    def _session_of(self, user_id: str, relay: Relay) -> Session:
        user = self._users.get(user_id)
        if user is None or user.session is None or user.session.relay is not relay:
            raise NoSessionError(f"{user_id} has no session on {relay.name}")
        return user.session
