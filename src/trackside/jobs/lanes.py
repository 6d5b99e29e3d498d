"""A page of jobs from several lanes of Redis, each read from its newest end and resumed where a page had ended."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trackside.jobs.payloads import IsSecret, shown
from trackside.jobs.redis_store import RedisStore, text
from trackside.model.jobs import Job, JobQuery, JobsPage

MAX_LIMIT = 1_000
_FIRST_CHUNK = 100
_MAX_CHUNK = 1_000
# How far workers may have moved a list on between two pages, and its place is still found.
_SHIFT = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    at_ms: float
    """Of two lanes, the one whose next job is the newer goes first."""
    position: Any
    """JSON. Handed back to its lane, it goes on behind this job."""
    job: Job | None
    """None: it does not match, or is gone."""


Lane = Callable[[Any], Iterator[Found]]
"""Begins behind a position; at its newest job, when that is None or makes no sense."""


def page_of(lanes: Mapping[str, Lane], after: str, limit: int, most: int) -> JobsPage:
    """`most`: so many jobs are looked at, whether they match or not."""
    positions = {name: place for name, place in _object(after).items() if name in lanes}
    limit = max(1, min(limit, MAX_LIMIT))
    jobs: dict[str, Job] = {}
    streams = (_named(name, lane(positions.get(name))) for name, lane in lanes.items())
    for read, (name, found) in enumerate(heapq.merge(*streams, key=lambda pair: pair[1].at_ms, reverse=True)):
        if len(jobs) >= limit or read >= most:
            return JobsPage(
                jobs=tuple(jobs.values()),
                next=json.dumps(positions, separators=(",", ":")),
                is_cut=len(jobs) < limit,
            )
        positions[name] = found.position
        if found.job is not None:
            # It may have moved on to another lane in between.
            jobs.setdefault(found.job.id, found.job)
    return JobsPage(jobs=tuple(jobs.values()))


def _named(name: str, lane: Iterator[Found]) -> Iterator[tuple[str, Found]]:
    return ((name, found) for found in lane)


def remembered(found: Iterable[Found]) -> Lane:
    """Of jobs that are at hand; their positions are pairs of a time and an id."""
    ordered = sorted(found, key=lambda one: (one.at_ms, str(one.position)), reverse=True)

    def lane(position: Any) -> Iterator[Found]:
        place = scored_place(position)
        before = None if place is None else (place[0], str([place[0], place[1]]))
        return (one for one in ordered if before is None or (one.at_ms, str(one.position)) < before)

    return lane


def sorted_chunks(store: RedisStore, key: str | bytes, position: Any) -> Iterator[list[tuple[bytes, float]]]:
    """Of a sorted set, from its highest score."""
    rank, count = 0, _FIRST_CHUNK
    place = scored_place(position)
    if place is not None:
        score, member = place
        asked = store.pipeline()
        asked.zrevrank(key, encoded(member))
        asked.zcount(key, f"({score}", "+inf")
        at, above = store.answers(asked)
        rank = (above or 0) if at is None else at + 1
    while True:
        asked = store.pipeline()
        asked.zrevrange(key, rank, rank + count - 1, withscores=True)
        (members,) = store.answers(asked)
        if members:
            yield members
        if len(members or ()) < count:
            return
        rank, count = rank + count, min(_MAX_CHUNK, count * 2)


def list_chunks(store: RedisStore, key: str | bytes, position: Any) -> Iterator[list[tuple[int, bytes]]]:
    """Of a list that grows at its end and is taken from at its begin: from its end, with indexes."""
    asked = store.pipeline()
    asked.llen(key)
    place = scored_place(position)
    index = 0 if place is None else max(0, int(min(place[0], 1e12)))
    first = max(0, index - _SHIFT)
    asked.lrange(key, first, index)
    size, window = store.answers(asked)
    last = (size or 0) - 1
    if place is not None:
        members = [text(member) for member in window or ()]
        # Gone: as far as it can be told, what was older is where it was.
        last = first + members.index(place[1]) - 1 if place[1] in members else min(last, index - 1)
    count = _FIRST_CHUNK
    while last >= 0:
        first = max(0, last - count + 1)
        asked = store.pipeline()
        asked.lrange(key, first, last)
        (members,) = store.answers(asked)
        yield list(enumerate(members or (), first))[::-1]
        last, count = first - 1, min(_MAX_CHUNK, count * 2)


def scored_place(position: Any) -> tuple[float, str] | None:
    """Of a number and the text of a member."""
    if not isinstance(position, list) or len(position) != 2:
        return None
    score, member = position
    is_place = isinstance(score, int | float) and isinstance(member, str) and abs(score) < 1e300
    return (score, member) if is_place else None


def encoded(id: str) -> bytes:
    """Of whatever a page was asked for."""
    return id.encode("utf-8", "backslashreplace")


def matches(job: Job, query: JobQuery, call: tuple[Any, Any], is_secret: IsSecret) -> bool:
    if query.states and job.state not in query.states:
        return False
    if (query.queue and job.queue != query.queue) or (query.worker and job.worker != query.worker):
        return False
    if query.kind and job.kind != query.kind:
        return False
    if not query.text:
        return True
    # Only in what would be shown: a search that finds secrets tells them.
    said = json.dumps([shown(part, is_secret) for part in call], ensure_ascii=False)
    return query.text.casefold() in f"{job.id} {job.kind} {job.error or ''} {said}".casefold()


def _object(after: str) -> dict[str, Any]:
    try:
        found = json.loads(after) if after else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
