"""dramatiq's keys in Redis: which queues there are, and messages by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trackside.jobs.dramatiq.messages import MAX_MESSAGE_BYTES, Message, message_of
from trackside.jobs.redis_store import RedisStore, text

MAX_QUEUES = 500
MAX_BROKERS = 1_000
MAX_PAIRS = 5_000
"""Of a process and a queue: each may have fetched of each."""
DELAYED = ".DQ"
DEAD = ".XQ"
_SCAN_COUNT = 1_000
_FIRST_SCANS = 20
_MAX_WHERE = 20_000
MAX_READ_BYTES = 16 << 20
"""In one reading."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of a message: the hash it is in, and its field."""

    queue: str
    ending: str
    """Empty, DELAYED or DEAD."""
    field: bytes


class Broker:
    def __init__(self, store: RedisStore, namespace: str, queues: Sequence[str]) -> None:
        """`queues`: empty to find them by their keys."""
        self.store = store
        self._namespace = namespace
        self._is_fixed = bool(queues)
        self._queues = dict.fromkeys(queues)
        self._scan_from = 0
        self.is_looking = not self._is_fixed
        """There was no whole round through all keys yet."""
        self._where: dict[str, Place] = {}
        """Messages that were read: retried, a message has a new field."""

    @property
    def queues(self) -> list[str]:
        return list(self._queues)[:MAX_QUEUES]

    def know(self, queues: Iterable[str]) -> None:
        if not self._is_fixed:
            self._queues |= dict.fromkeys(queues)

    def list_key(self, queue: str) -> bytes:
        return f"{self._namespace}:{queue}".encode("utf-8", "backslashreplace")

    def hash_key(self, queue: str) -> bytes:
        return self.list_key(queue) + b".msgs"

    @property
    def heartbeats_key(self) -> bytes:
        return self.list_key("__heartbeats__")

    def acks_key(self, broker: str, queue: str) -> bytes:
        return self.list_key(f"__acks__.{broker}.{queue}")

    def discover(self) -> None:
        """A step through all keys: an empty queue has none, and is known as long as somebody remembers it."""
        if self._is_fixed:
            return
        prefix = self.list_key("")
        pattern = b"".join(b"\\" + bytes([one]) if one in b"*?[]\\" else bytes([one]) for one in prefix) + b"*"
        for _ in range(_FIRST_SCANS if self.is_looking else 1):
            asked = self.store.pipeline()
            asked.scan(self._scan_from, match=pattern, count=_SCAN_COUNT)
            ((position, keys),) = self.store.answers(asked)
            self._scan_from = int(position)
            for key in keys:
                name = _queue_of(text(key[len(prefix) :]))
                if name and len(self._queues) < MAX_QUEUES:
                    self._queues.setdefault(name)
            if not self._scan_from:
                self.is_looking = False
                break

    def messages(self, places: Sequence[Place]) -> list[Message | None]:
        """A message may be as large as Redis allows, and is asked for its size first."""
        asked = self.store.pipeline()
        for place in places:
            asked.hstrlen(self.hash_key(place.queue + place.ending), place.field)
        room, wanted = MAX_READ_BYTES, []
        for place, size in zip(places, self.store.answers(asked), strict=True):
            if size and size <= MAX_MESSAGE_BYTES and size <= room:
                room -= size
                wanted.append(place)
        asked = self.store.pipeline()
        for place in wanted:
            asked.hget(self.hash_key(place.queue + place.ending), place.field)
        found = {
            place: message_of(raw, place.queue) for place, raw in zip(wanted, self.store.answers(asked), strict=True)
        }
        for place, message in found.items():
            if message is not None:
                self._where.pop(message.id, None)
                self._where[message.id] = place
        while len(self._where) > _MAX_WHERE:
            del self._where[next(iter(self._where))]
        return [found.get(place) for place in places]

    def place_of(self, id: str) -> Place | None:
        """Where a message was when it was read last."""
        return self._where.get(id)


def _queue_of(name: str) -> str:
    """Of the part of a key behind the namespace. Empty: that of no queue."""
    if name.startswith("__acks__."):
        # Of a process, whose id has no dots, and a queue.
        name = name.split(".", 2)[2] if name.count(".") >= 2 else ""
    elif name.endswith(".msgs"):
        name = name.removesuffix(".msgs")
    else:
        return ""
    return name.removesuffix(DELAYED).removesuffix(DEAD)[:200]
