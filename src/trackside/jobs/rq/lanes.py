"""Lists and sorted sets of jobs in Redis, read from their newest end in chunks, and resumed where a page had ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from trackside.jobs.redis_store import text
from trackside.jobs.rq.keys import job_id

# How far workers may have moved a list on between two pages, and its place is still found.
_SHIFT = 5_000


class Lane(Protocol):
    name: str
    is_over: bool
    taken: Any
    """JSON: the position of the last job that was used. None: none was."""

    def ask_place(self, pipeline: Any) -> None:
        """Where `taken` is now."""
        ...

    def take_place(self, answers: Iterator[Any]) -> None: ...

    def ask(self, pipeline: Any, count: int) -> None:
        """The next jobs."""
        ...

    def take(self, answers: Iterator[Any]) -> list[tuple[str, Any]]:
        """Their ids and positions."""
        ...


class ListLane:
    """The end of a queue is its newest job, and workers take from its begin: positions count from there."""

    def __init__(self, name: str, key: str, taken: Any = None) -> None:
        self.name = name
        self.is_over = False
        self.taken: Any = None
        if isinstance(taken, list) and len(taken) == 2 and isinstance(taken[0], int) and isinstance(taken[1], str):
            self.taken = [max(0, taken[0]), taken[1]]
        self._key = key
        self._last = -1
        """The newest that has not been read yet."""
        self._first = 0

    def ask_place(self, pipeline: Any) -> None:
        pipeline.llen(self._key)
        if self.taken is not None:
            pipeline.lrange(self._key, max(0, self.taken[0] - _SHIFT), self.taken[0])

    def take_place(self, answers: Iterator[Any]) -> None:
        size = next(answers) or 0
        self._last = size - 1
        if self.taken is not None:
            members = [text(member) for member in next(answers) or ()]
            first = max(0, self.taken[0] - _SHIFT)
            # Gone: as far as it can be told, what was older is where it was.
            place = first + members.index(self.taken[1]) if self.taken[1] in members else min(self.taken[0], size)
            self._last = place - 1
        self.is_over = self._last < 0

    def ask(self, pipeline: Any, count: int) -> None:
        self._first = max(0, self._last - count + 1)
        pipeline.lrange(self._key, self._first, self._last)

    def take(self, answers: Iterator[Any]) -> list[tuple[str, Any]]:
        members = [text(member) for member in next(answers) or ()]
        found = [(id, [self._first + at, id]) for at, id in enumerate(members)]
        self._last = self._first - 1
        self.is_over = self._last < 0
        return found[::-1]


class SortedLane:
    """A registry, from its highest score."""

    def __init__(self, name: str, key: str, taken: Any = None) -> None:
        self.name = name
        self.is_over = False
        self.taken: Any = None
        if isinstance(taken, list) and len(taken) == 2 and isinstance(taken[0], float) and isinstance(taken[1], str):
            self.taken = taken
        self._key = key
        self._rank = 0
        self._count = 0

    def ask_place(self, pipeline: Any) -> None:
        if self.taken is not None:
            score, member = self.taken
            pipeline.zrevrank(self._key, member)
            pipeline.zcount(self._key, f"({score}", "+inf")

    def take_place(self, answers: Iterator[Any]) -> None:
        if self.taken is not None:
            rank, above = next(answers), next(answers)
            self._rank = (above or 0) if rank is None else rank + 1

    def ask(self, pipeline: Any, count: int) -> None:
        self._count = count
        pipeline.zrevrange(self._key, self._rank, self._rank + count - 1, withscores=True)

    def take(self, answers: Iterator[Any]) -> list[tuple[str, Any]]:
        members = next(answers) or []
        self._rank += len(members)
        self.is_over = len(members) < self._count
        return [(job_id(member), [score, text(member)]) for member, score in members]
