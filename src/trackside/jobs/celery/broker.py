"""Celery's side of Redis as the broker: its queues, what workers have fetched, and which results are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trackside.jobs.celery.messages import TaskMessage, TaskResult, fetched_message, task_message, task_result
from trackside.jobs.redis_store import RedisStore, text, time_ms
from trackside.jobs.source import MAX_SEARCHED

SEPARATOR = "\x06\x16"
MAX_QUEUES = 500
MAX_FETCHED = 2_000
"""Messages in `unacked` that are looked at."""
_SCAN_COUNT = 1_000
_FIRST_SCANS = 20
_NOT_FOR_TASKS = (".celery.pidbox", ".reply.celery.pidbox")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an application may have set in `broker_transport_options` and `result_backend_transport_options`."""

    db: int = 0
    queues: tuple[str, ...] = ("celery",)
    """Others are found by their bindings."""
    priority_steps: tuple[int, ...] = (0, 3, 6, 9)
    prefix: str = ""
    """`global_keyprefix`."""
    result_prefix: str = ""
    """Of the results, with its final separator."""
    fanout_prefix: str = "/{db}."

    @property
    def events_pattern(self) -> str:
        return f"{self.prefix}{self.fanout_prefix.format(db=self.db)}celeryev/*"

    @property
    def results_pattern(self) -> str:
        return self.result_key("*")

    def result_key(self, id: str) -> str:
        return f"{self.result_prefix}celery-task-meta-{id}"

    def lists(self, queue: str) -> list[str]:
        """The lists of a queue, one for each step of priority; the first is the most urgent."""
        return [
            f"{self.prefix}{queue}{SEPARATOR}{step}" if step else self.prefix + queue for step in self.priority_steps
        ]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message that a worker has taken and not acknowledged yet."""

    task: TaskMessage
    since_ms: int


@dataclass(slots=True)
class BrokerNow:
    at_ms: int
    waiting: dict[str, int] = field(default_factory=dict)
    """By queue, not fetched by anybody."""
    oldest: dict[str, TaskMessage] = field(default_factory=dict)
    """The next one of each queue."""
    fetched: list[Fetched] = field(default_factory=list)
    fetched_size: int = 0
    """All of them, also those that were not looked at."""


class Broker:
    def __init__(self, store: RedisStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._found: set[str] = set()
        self._messages: dict[bytes, TaskMessage | None] = {}
        """Those fetched at the last look, by their tags."""
        self._scan_from = 0
        self._has_scanned = False

    def queues(self, heard: Iterable[str] = ()) -> list[str]:
        """Those configured, bound, and `heard` of."""
        self._discover()
        return sorted({*self._settings.queues, *self._found, *(name for name in heard if name)})[:MAX_QUEUES]

    def now(self, queues: Sequence[str]) -> BrokerNow:
        asked = self._store.pipeline()
        asked.time()
        for queue in queues:
            for key in self._settings.lists(queue):
                asked.llen(key)
        asked.hlen(self._settings.prefix + "unacked")
        asked.zrevrange(self._settings.prefix + "unacked_index", 0, MAX_FETCHED - 1, withscores=True)
        time, *sizes, fetched_size, index = self._store.answers(asked)
        now = BrokerNow(time_ms(time), fetched_size=fetched_size or 0)
        steps = len(self._settings.priority_steps)
        filled: list[tuple[str, str]] = []
        for at, queue in enumerate(queues):
            counts = [size or 0 for size in sizes[at * steps : (at + 1) * steps]]
            now.waiting[queue] = sum(counts)
            filled += [(queue, key) for key, size in zip(self._settings.lists(queue), counts, strict=True) if size]
        now.fetched = self._fetched(index or [])
        self._read_oldest(now, filled)
        return now

    def _fetched(self, index: Sequence[tuple[bytes, float]]) -> list[Fetched]:
        """Of those that were there at the last look the message is known."""
        new = [tag for tag, _ in index if tag not in self._messages]
        asked = self._store.pipeline()
        for tag in new:
            asked.hget(self._settings.prefix + "unacked", tag)
        read = {
            tag: fetched_message(raw) if raw else None for tag, raw in zip(new, self._store.answers(asked), strict=True)
        }
        self._messages = {tag: read[tag] if tag in read else self._messages[tag] for tag, _ in index}
        messages = [(self._messages[tag], round(score * 1000)) for tag, score in index]
        return [Fetched(task, since_ms) for task, since_ms in messages if task is not None]

    def _read_oldest(self, now: BrokerNow, filled: Sequence[tuple[str, str]]) -> None:
        asked = self._store.pipeline()
        for _, key in filled:
            asked.lrange(key, -1, -1)
        for (queue, _), items in zip(filled, self._store.answers(asked), strict=True):
            message = task_message(items[0], queue) if items else None
            if message is not None:
                now.oldest.setdefault(queue, message)

    def results(self, ids: Sequence[str]) -> dict[str, TaskResult]:
        """Those that are there, of whatever state."""
        asked = self._store.pipeline()
        for id in ids:
            asked.strlen(self._settings.result_key(id))
        sized = [id for id, size in zip(ids, self._store.answers(asked), strict=True) if size and size <= 1 << 20]
        asked = self._store.pipeline()
        for id in sized:
            asked.get(self._settings.result_key(id))
        found = [task_result(raw, id) for id, raw in zip(sized, self._store.answers(asked), strict=True)]
        return {one.id: one for one in found if one is not None}

    def messages(self, queue: str, first: int, count: int) -> list[TaskMessage | None]:
        """Waiting in a queue, newest first, those of the least urgent step before the others."""
        found: list[TaskMessage | None] = []
        for key in reversed(self._settings.lists(queue)):
            asked = self._store.pipeline()
            asked.llen(key)
            asked.lrange(key, first, first + count - 1)
            size, items = self._store.answers(asked)
            found += [task_message(item, queue) for item in items or ()]
            first, count = max(0, first - (size or 0)), count - len(items or ())
            if count <= 0:
                break
        return found

    def message(self, id: str, queues: Sequence[str]) -> TaskMessage | None:
        """Of a task that waits; None: it is not among the newest MAX_SEARCHED."""
        read = 0
        for queue in queues:
            for key in self._settings.lists(queue):
                for first in range(0, MAX_SEARCHED, _SCAN_COUNT):
                    asked = self._store.pipeline()
                    asked.lrange(key, first, first + _SCAN_COUNT - 1)
                    (items,) = self._store.answers(asked)
                    # Most are told apart without being read.
                    likely = (task_message(item, queue) for item in items or () if id.encode() in item)
                    found = next((one for one in likely if one is not None and one.id == id), None)
                    read += len(items or ())
                    if found is not None or read >= MAX_SEARCHED:
                        return found
                    if len(items or ()) < _SCAN_COUNT:
                        break
        return None

    def bound_workers(self) -> list[str]:
        """Those with a mailbox: they run, or have not said goodbye."""
        asked = self._store.pipeline()
        asked.smembers(self._settings.prefix + "_kombu.binding.celery.pidbox")
        (members,) = self._store.answers(asked)
        names = [text(member).split(SEPARATOR)[-1] for member in members or ()]
        return sorted(name.removesuffix(".celery.pidbox") for name in names if name.endswith(".celery.pidbox"))

    def _discover(self) -> None:
        """A step through all keys at each look, since only bindings say which queues there are."""
        prefix = self._settings.prefix + "_kombu.binding."
        keys: set[str] = {prefix + "celery", *(prefix + queue for queue in self._found)}
        for _ in range(1 if self._has_scanned else _FIRST_SCANS):
            asked = self._store.pipeline()
            asked.scan(self._scan_from, match=_escaped(prefix) + "*", count=_SCAN_COUNT)
            (answer,) = self._store.answers(asked)
            self._scan_from = int(answer[0])
            keys |= {text(key) for key in answer[1]}
            if not self._scan_from:
                break
        self._has_scanned = True
        listed = sorted(keys)
        asked = self._store.pipeline()
        for key in listed:
            asked.smembers(key)
        for key, members in zip(listed, self._store.answers(asked), strict=True):
            exchange = key.removeprefix(prefix)
            if exchange.startswith(("celeryev", "reply.")) or exchange.endswith(".pidbox"):
                continue
            names = (text(member).split(SEPARATOR)[-1] for member in members or ())
            self._found |= {name for name in names if name and not name.endswith(_NOT_FOR_TASKS)}
        if len(self._found) > MAX_QUEUES:
            self._found = set(sorted(self._found)[:MAX_QUEUES])


def _escaped(pattern: str) -> str:
    return "".join("\\" + one if one in "*?[]\\" else one for one in pattern)
