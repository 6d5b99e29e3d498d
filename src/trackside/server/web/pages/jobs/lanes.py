"""A row for each queue: how long its oldest job waits, what goes in and out, and when it will be empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isinf

from trackside.jobs.source import Measure
from trackside.jobs.verdicts.drain import KEEPS_UP_S, drain_s, ended_per_s
from trackside.jobs.verdicts.facts import Limits, is_alive, oldest_s, serves, waiting
from trackside.jobs.verdicts.memory import Depth, Memory, SourceMemory
from trackside.jobs.verdicts.queues import is_unserved
from trackside.model.jobs import Fidelity, JobsSample, JobState, QueueNow
from trackside.server.jobs.sampler import Seen
from trackside.server.web.figures import NOTHING, age, seconds
from trackside.server.web.verdict import Level

LATE_LOOKS = 3
RATE_MS = 300_000
"""Rates are of these last minutes: one job must not make a queue fast."""
_ORDER = (Fidelity.EXACT, Fidelity.SAMPLED, Fidelity.INFERRED, Fidelity.NEEDS_HOOK)
_OF_LANES = (Measure.DEPTH, Measure.OLDEST, Measure.RUNNING, Measure.THROUGHPUT, Measure.WORKERS)
_OF_STATES = (
    ("waiting", (JobState.QUEUED,)),
    ("running", (JobState.RUNNING,)),
    ("retrying", (JobState.RETRYING,)),
    ("scheduled", (JobState.SCHEDULED, JobState.BLOCKED)),
)


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the numbers of a source can be trusted."""

    word: str
    """Of the least certain one."""
    title: str
    """All of them, in words."""
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Spark:
    """Two small lines on one scale."""

    came: str
    went: str
    """Paths in a box of 100 by 20."""


@dataclass(frozen=True, slots=True)
class Lane:
    source: str
    queue: str
    level: Level
    oldest: str
    counts: tuple[tuple[str, str, str], ...]
    """Name, number, and the state that a search for these has; in the order of the columns."""
    in_rate: float | None
    """Jobs a second."""
    out_rate: float | None
    spark: Spark | None
    drains: str
    drains_level: Level
    workers: int | None
    """None: they cannot be seen there."""
    is_paused: bool
    trust: Trust
    is_stale: bool
    """As it was last seen, and not as it is."""
    prefetched: int | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A back-end, and whether it can be read."""

    name: str
    backend: str
    level: Level
    word: str
    detail: str
    trust: tuple[tuple[str, str], ...]
    """Measure and fidelity."""
    sample_s: float | None
    interval_s: float
    looked_ms: int | None
    notes: tuple[str, ...]


def lanes_of(
    seen: Sequence[Seen], memory: Memory, limits: Limits, fidelity: Mapping[str, Mapping[Measure, Fidelity]]
) -> list[Lane]:
    """The worst first; among equals the one whose oldest job waits longest."""
    found: list[tuple[Level, float, Lane]] = []
    for one in seen:
        sample = one.view.sample
        if sample is None:
            continue
        of_source = memory.sources.get(one.view.name, SourceMemory())
        trust = trust_of(fidelity.get(one.view.name, {}))
        for queue in sample.queues:
            lane = _lane(one, sample, queue, of_source, limits, trust)
            found.append((lane.level, oldest_s(queue, sample.at_ms) or 0.0, lane))
    found.sort(key=lambda item: (-item[0], -item[1], item[2].source, item[2].queue))
    return [lane for _, _, lane in found]


def source_rows(
    seen: Sequence[Seen], fidelity: Mapping[str, Mapping[Measure, Fidelity]], now_ms: int
) -> list[SourceRow]:
    rows = []
    for one in seen:
        view = one.view
        level, word, detail = _state(one, now_ms)
        measures = fidelity.get(view.name, {})
        rows.append(
            SourceRow(
                view.name,
                view.backend,
                level,
                word,
                detail,
                tuple((measure.value, measures[measure].value) for measure in Measure if measure in measures),
                one.sample_s,
                one.interval_s,
                view.looked_ms,
                view.sample.notes if view.sample is not None else (),
            )
        )
    return rows


def trust_of(fidelity: Mapping[Measure, Fidelity]) -> Trust:
    known = [(measure, fidelity[measure]) for measure in _OF_LANES if measure in fidelity]
    worst = max((_ORDER.index(one) for _, one in known), default=0)
    words = [
        f"{', '.join(measure.value for measure, one in known if one is level)}: {level.value}"
        for level in _ORDER
        if any(one is level for _, one in known)
    ]
    return Trust(_ORDER[worst].value, "; ".join(words), worst == 0)


def _state(one: Seen, now_ms: int) -> tuple[Level, str, str]:
    view = one.view
    if view.error:
        return Level.BAD, "cannot be read", view.error
    if view.sample is None or view.looked_ms is None:
        return Level.UNKNOWN, "not looked at yet", "The first look is under way."
    late_ms = now_ms - view.looked_ms
    if late_ms > LATE_LOOKS * 1000 * max(one.interval_s, 1.0) + 5_000:
        return Level.WARN, "stale", f"Not looked at for {age(late_ms)}: what you see is old."
    return (Level.WARN, "slowed", view.slowed) if view.slowed else (Level.OK, "read", "")


def _lane(one: Seen, sample: JobsSample, queue: QueueNow, memory: SourceMemory, limits: Limits, trust: Trust) -> Lane:
    oldest = oldest_s(queue, sample.at_ms)
    points = memory.depths.get(queue.name, ())
    drains, drains_level = _drains(drain_s(points, oldest), queue, oldest, limits)
    alive = [w for w in sample.workers if is_alive(w, sample.at_ms) and serves(w, queue.name)]
    is_stale = bool(one.view.error)
    level = Level.UNKNOWN if is_stale else _level(one, sample, queue, memory, limits)
    in_rate, out_rate = _rates(points)
    return Lane(
        one.view.name,
        queue.name,
        level,
        seconds(oldest) if oldest is not None else NOTHING if waiting(queue) else "0",
        tuple((name, _count(queue, states), states[0].value) for name, states in _OF_STATES),
        in_rate,
        out_rate,
        _spark(points),
        drains,
        drains_level,
        len(alive) if one.view.knows_workers or alive else None,
        queue.is_paused,
        trust,
        is_stale,
        queue.prefetched,
    )


def _level(one: Seen, sample: JobsSample, queue: QueueNow, memory: SourceMemory, limits: Limits) -> Level:
    oldest_ms = 1000 * (oldest_s(queue, sample.at_ms) or 0.0)
    if is_unserved(one.view, sample, queue, memory) or oldest_ms > limits.oldest_ms:
        return Level.BAD
    return Level.WARN if oldest_ms > limits.oldest_ms / 2 or (queue.is_paused and waiting(queue)) else Level.OK


def _drains(after_s: float | None, queue: QueueNow, oldest: float | None, limits: Limits) -> tuple[str, Level]:
    count = waiting(queue) or 0
    if queue.is_paused and count:
        return "not while paused", Level.WARN
    if after_s is None:
        return "not known yet", Level.UNKNOWN
    if not isinf(after_s):
        return ("empty", Level.OK) if after_s == 0 else (f"in {age(max(1_000, int(after_s * 1000)))}", Level.OK)
    if count < limits.backlog and oldest is not None and oldest < KEEPS_UP_S:
        return "keeps up", Level.OK
    return "never at this rate", Level.BAD if count >= limits.backlog else Level.WARN


def _count(queue: QueueNow, states: Sequence[JobState]) -> str:
    known = [queue.counts[state] for state in states if state in queue.counts]
    return f"{sum(known):,}".replace(",", "\u202f") if known else NOTHING


def _rates(points: Sequence[Depth]) -> tuple[float | None, float | None]:
    """What came and what went, a second. What came follows from what went and how the queue changed."""
    if not points:
        return None, None
    recent = [point for point in points if points[-1].at_ms - point.at_ms <= RATE_MS]
    span_s = (recent[-1].at_ms - recent[0].at_ms) / 1000
    if len(recent) < 2 or not span_s:
        return None, None
    went = ended_per_s(recent)
    return max(0.0, went + (recent[-1].waiting - recent[0].waiting) / span_s), went


def _spark(points: Sequence[Depth]) -> Spark | None:
    if len(points) < 4:
        return None
    times, came, went = [], [], []
    for before, now in pairwise(points):
        span_s = max(0.001, (now.at_ms - before.at_ms) / 1000)
        times.append((now.at_ms - points[0].at_ms) / max(1, points[-1].at_ms - points[0].at_ms))
        went.append(now.ended / span_s)
        came.append(max(0.0, (now.ended + now.waiting - before.waiting) / span_s))
    top = max(*came, *went) or 1.0
    return Spark(_path(times, came, top), _path(times, went, top))


def _path(times: Sequence[float], values: Sequence[float], top: float) -> str:
    points = [f"{time * 100:.0f} {19 - value / top * 18:.1f}" for time, value in zip(times, values, strict=True)]
    return "M" + "L".join(points)
