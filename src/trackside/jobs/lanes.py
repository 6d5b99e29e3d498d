"""A page of jobs from several lanes of Redis, each read from its newest end and resumed where a page had ended."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trackside.jobs.ends import place_of
from trackside.jobs.payloads import IsSecret, shown
from trackside.model.jobs import Job, JobQuery, JobsPage

MAX_LIMIT = 1_000


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
        place = place_of(position)
        before = None if place is None else (place[0], str([place[0], place[1]]))
        return (one for one in ordered if before is None or (one.at_ms, str(one.position)) < before)

    return lane


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
