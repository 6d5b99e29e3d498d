"""Messages: received from users, processed, and failed."""

from __future__ import annotations

from trackside.instruments.counter import CounterChild
from trackside.sdk.families.block import Block, End
from trackside.sdk.families.maker import Maker
from trackside.sdk.families.places import Places
from trackside.sdk.watch.bounded import Bounded

MAX_TYPES = 100
MAX_ERRORS = 100
MAX_USERS = 500


class Messages:
    """One for a monitor. Users beyond five hundred at a time share a series."""

    def __init__(self, make: Maker) -> None:
        self._received = make.counter("messages_received_total", "Messages received.", ("message_type", "user_id"))
        self._processed = make.counter("messages_processed_total", "Messages processed.", ("message_type",))
        self._failed = make.counter(
            "messages_failed_total", "Messages that could not be processed.", ("message_type", "error_type")
        )
        self._guard = make.guard
        self._types = Bounded(MAX_TYPES)
        self._errors = Bounded(MAX_ERRORS)
        self._users = Places(MAX_USERS, make.lock)
        self._known: dict[str, dict[str, CounterChild]] = {}
        """By user and message type, both as in the labels."""

    def expect(self, message_type: str, *errors: type[BaseException] | str) -> None:
        """Show these failures from the start, with nothing counted. A series that is born with its first failure is
        born at 1: `increase()` and `rate()` do not see a step from nothing."""
        kind = self._types.of(str(message_type))
        for error in errors:
            self._failed.labels(kind, self._errors.of(error if isinstance(error, str) else error.__name__))

    def received(self, message_type: str, user_id: object = "") -> None:
        try:
            self._known[user_id][message_type].inc()  # type: ignore[index]
        except Exception:  # noqa: BLE001 - not seen before, or of a type that refuses to be a key
            self._received_first(message_type, user_id)

    def _received_first(self, message_type: str, user_id: object) -> None:
        with self._guard.shielded("count a message"), self._users.lock:
            kind, user = self._types.of(str(message_type)), self._users.of(user_id)
            child = self._received.labels(kind, user)
            self._known.setdefault(user, {})[kind] = child
            child.inc()

    def processed(self, message_type: str) -> None:
        self._processed.labels(self._types.of(str(message_type))).inc()

    def failed(self, message_type: str, error: BaseException | str) -> None:
        """`error`: an exception, whose class is counted, or a word of yours."""
        kind = error if isinstance(error, str) else type(error).__name__
        self._failed.labels(self._types.of(str(message_type)), self._errors.of(kind)).inc()

    def processing(self, message_type: str) -> Block:
        """A block or function at whose end the message is processed, or has failed when it raised."""

        def end(error: BaseException | None) -> None:
            if error is None:
                self.processed(message_type)
            elif isinstance(error, Exception):  # else it was cancelled
                self.failed(message_type, error)

        def begin() -> End:
            return end

        return Block(self._guard, begin)

    def forget(self, user_id: object) -> None:
        """Show no more of a user who is gone, and give the place to another."""
        with self._guard.shielded("forget a user"), self._users.lock:
            user = self._users.free(user_id)
            if user is not None:
                for kind in self._known.pop(user, ()):
                    self._received.remove(kind, user)
