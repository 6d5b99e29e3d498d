"""Lists and sorted sets of jobs in Redis, read from their newest end in chunks, and resumed where a page had ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

from trackside.jobs.redis_store import RedisStore, encoded, text

Member = tuple[bytes, float]
"""As Redis has it, and its index or its score."""

_FIRST_CHUNK = 100
_MAX_CHUNK = 1_000
# How far workers may have moved a list on between two pages, and its place is still found.
_SHIFT = 5_000


class End(Protocol):
    """Asked in steps, so that many share a pipeline."""

    is_over: bool

    def ask_place(self, pipeline: Any) -> None:
        """Where the position is now that was given."""
        ...

    def take_place(self, answers: Iterator[Any]) -> None: ...

    def ask(self, pipeline: Any, count: int) -> None:
        """The next jobs."""
        ...

    def take(self, answers: Iterator[Any]) -> list[Member]: ...


class ListEnd:
    """The end of a queue is its newest job, and workers take from its begin: positions count from there."""

    def __init__(self, key: str | bytes, position: Any = None) -> None:
        self.is_over = False
        self._key = key
        place = place_of(position)
        self._place = None if place is None else (max(0, int(min(place[0], 1e12))), place[1])
        self._last = -1
        """The newest that has not been read yet."""
        self._first = 0

    def ask_place(self, pipeline: Any) -> None:
        pipeline.llen(self._key)
        if self._place is not None:
            pipeline.lrange(self._key, max(0, self._place[0] - _SHIFT), self._place[0])

    def take_place(self, answers: Iterator[Any]) -> None:
        size = next(answers) or 0
        self._last = size - 1
        if self._place is not None:
            index, member = self._place
            members = [text(one) for one in next(answers) or ()]
            first = max(0, index - _SHIFT)
            # Gone: as far as it can be told, what was older is where it was.
            self._last = (first + members.index(member) if member in members else min(index, size)) - 1
        self.is_over = self._last < 0

    def ask(self, pipeline: Any, count: int) -> None:
        self._first = max(0, self._last - count + 1)
        pipeline.lrange(self._key, self._first, self._last)

    def take(self, answers: Iterator[Any]) -> list[Member]:
        members: list[Member] = [(member, self._first + at) for at, member in enumerate(next(answers) or ())]
        self._last = self._first - 1
        self.is_over = self._last < 0
        return members[::-1]


class SortedEnd:
    """From the highest score."""

    def __init__(self, key: str | bytes, position: Any = None) -> None:
        self.is_over = False
        self._key = key
        self._place = place_of(position)
        self._rank = 0
        self._count = 0

    def ask_place(self, pipeline: Any) -> None:
        if self._place is not None:
            score, member = self._place
            pipeline.zrevrank(self._key, encoded(member))
            pipeline.zcount(self._key, f"({score}", "+inf")

    def take_place(self, answers: Iterator[Any]) -> None:
        if self._place is not None:
            rank, above = next(answers), next(answers)
            self._rank = (above or 0) if rank is None else rank + 1

    def ask(self, pipeline: Any, count: int) -> None:
        self._count = count
        pipeline.zrevrange(self._key, self._rank, self._rank + count - 1, withscores=True)

    def take(self, answers: Iterator[Any]) -> list[Member]:
        members: list[Member] = next(answers) or []
        self._rank += len(members)
        self.is_over = len(members) < self._count
        return members


def chunks(store: RedisStore, end: End) -> Iterator[list[Member]]:
    """Of one alone, newest first; the first are few, as often no more are wanted."""
    asked = store.pipeline()
    end.ask_place(asked)
    end.take_place(iter(store.answers(asked)))
    count = _FIRST_CHUNK
    while not end.is_over:
        asked = store.pipeline()
        end.ask(asked, count)
        members = end.take(iter(store.answers(asked)))
        if members:
            yield members
        count = min(_MAX_CHUNK, count * 2)


def place_of(position: Any) -> tuple[float, str] | None:
    """Of a number and the text of a member, as JSON."""
    if not isinstance(position, list) or len(position) != 2:
        return None
    number, member = position
    if not isinstance(number, int | float) or not isinstance(member, str):
        return None
    # What is kept for ever has an infinite score.
    return (number, member) if abs(number) < 1e300 or number == math.inf else None
