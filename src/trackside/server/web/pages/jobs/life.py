"""The life of one job: its moments with what lay between them, and a bar for each attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trackside.jobs.ledger.runs import Run
from trackside.model.jobs import Attempt, Job, JobState
from trackside.server.web.pages.jobs.words import lasted
from trackside.server.web.verdict import Level

WIDTH = 1000
_LEAST = 4
"""Of a bar: a run of a millisecond within an hour is still to be seen."""
LEVELS = {
    "succeeded": Level.OK,
    "failed": Level.BAD,
    "lost": Level.BAD,
    "retried": Level.WARN,
    "cancelled": Level.UNKNOWN,
    "running": Level.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Moment:
    name: str
    at_ms: int | None
    """None: it has not come."""
    gap: str
    """What lay between the moment before and this one."""
    is_run: bool = False
    """Whether the gap is work."""


@dataclass(frozen=True, slots=True)
class Bar:
    attempt: Attempt
    level: Level
    gap: str
    """Before it: "waited 14 s", "backed off 60 s"."""
    ran: str
    x: float
    width: float


def moments(job: Job, now_ms: int) -> list[Moment]:
    """In their order; those that are not known are left out, the next one to come is there without its time. Of the
    last attempt, where there were several."""
    known: list[tuple[str, int]] = []
    for name, at_ms in (("enqueued", job.enqueued_ms), ("due", job.due_ms), ("started", job.started_ms)):
        if at_ms is not None and not (name == "due" and at_ms == job.enqueued_ms):
            known.append((name, at_ms))
    if job.finished_ms is not None:
        known.append((job.state.value if job.state.is_final else "finished", job.finished_ms))
    is_again = job.attempt is not None and job.attempt > 1
    found = [_moment(before, one, is_again) for before, one in zip([None, *known], known, strict=False)]
    return [*found, *_to_come(job, known[-1] if known else None, now_ms)]


def attempts_of(told: Sequence[Attempt], runs: Iterable[Run]) -> list[Attempt]:
    """What the back-end remembers, and what the ledger knows of the same attempts; oldest first."""
    found: dict[int, Attempt] = {attempt.number: attempt for attempt in told}
    extra: list[Attempt] = []
    for run in sorted(runs, key=lambda run: run.ended_ms):
        number = run.attempt if run.attempt is not None else 1 if len(told) <= 1 else 0
        if number in found:
            found[number] = _joined(found[number], run)
        elif number:
            found[number] = _attempt(number, run)
        else:
            extra.append(_attempt(0, run))
    return [*(found[number] for number in sorted(found)), *extra]


def bars(attempts: Sequence[Attempt], ready_ms: int | None, now_ms: int) -> list[Bar]:
    """On one scale, from when the job could first be taken to the end of the last attempt."""
    starts = [one.started_ms for one in attempts if one.started_ms is not None]
    if not starts:
        return [Bar(one, LEVELS.get(one.outcome, Level.UNKNOWN), "", "", 0.0, 0.0) for one in attempts]
    ends = [one.finished_ms or now_ms for one in attempts if one.started_ms is not None]
    begin_ms = min([*starts, *([ready_ms] if ready_ms is not None and ready_ms < min(starts) else [])])
    span_ms = max(1, max(*ends, *starts) - begin_ms)
    found, before = [], ready_ms if ready_ms is not None and ready_ms <= min(starts) else None
    for number, one in enumerate(attempts):
        found.append(_bar(one, before, number > 0, (begin_ms, span_ms), now_ms))
        before = one.finished_ms if one.finished_ms is not None else before
    return found


def _moment(before: tuple[str, int] | None, one: tuple[str, int], is_again: bool) -> Moment:
    """What lay before an attempt that is not the first was not only waiting."""
    if before is None:
        return Moment(one[0], one[1], "")
    passed = lasted(max(0, one[1] - before[1]) / 1000)
    word = {"due": "put off for", "started": "after" if is_again else "waited"}.get(
        one[0], "ran" if before[0] == "started" else "after"
    )
    return Moment(one[0], one[1], f"{word} {passed}", is_run=word == "ran")


def _to_come(job: Job, last: tuple[str, int] | None, now_ms: int) -> list[Moment]:
    if last is None or job.state.is_final or job.finished_ms is not None:
        return []
    so_far_s = max(0, now_ms - last[1]) / 1000
    if job.state is JobState.RUNNING and last[0] == "started":
        return [Moment("finished", None, f"running for {lasted(so_far_s)}", is_run=True)]
    if job.due_ms is not None and job.due_ms > now_ms:
        return [Moment("started", None, f"due in {lasted((job.due_ms - now_ms) / 1000)}")]
    return [Moment("started", None, f"waiting for {lasted(so_far_s)}")]


def _bar(one: Attempt, before_ms: int | None, is_again: bool, scale: tuple[int, int], now_ms: int) -> Bar:
    level = LEVELS.get(one.outcome, Level.UNKNOWN)
    if one.started_ms is None:
        return Bar(one, level, "", "", 0.0, 0.0)
    begin_ms, span_ms = scale
    end_ms = one.finished_ms if one.finished_ms is not None else now_ms
    gap = ""
    if before_ms is not None:
        gap = f"{'backed off' if is_again else 'waited'} {lasted(max(0, one.started_ms - before_ms) / 1000)}"
    ran_s = max(0, end_ms - one.started_ms) / 1000
    ran = f"ran {lasted(ran_s)}" if one.finished_ms is not None else f"running for {lasted(ran_s)}"
    width = max(_LEAST, WIDTH * max(0, end_ms - one.started_ms) / span_ms)
    x = min(WIDTH * max(0, one.started_ms - begin_ms) / span_ms, WIDTH - width)
    return Bar(one, level, gap, ran, round(max(0.0, x), 1), round(min(width, WIDTH), 1))


def _attempt(number: int, run: Run) -> Attempt:
    return _joined(Attempt(number, run.outcome.value, run.started_ms, run.ended_ms, run.worker or None), run)


def _joined(one: Attempt, run: Run) -> Attempt:
    """The back-end knows the times, a hook the rest."""
    told: Mapping[str, object] = {
        "started_ms": run.started_ms,
        "finished_ms": run.ended_ms if one.outcome != "running" else None,
        "worker": run.worker or None,
        "error": run.error or None,
        "traceback": run.traceback or None,
        "cost_usd": run.cost_usd,
        "peak_memory_bytes": run.peak_memory_bytes,
        "cpu_s": run.cpu_s,
        "trace_id": run.trace_id or None,
        "request_id": run.request_id or None,
    }
    missing = {name: value for name, value in told.items() if getattr(one, name) is None and value is not None}
    return replace(one, **missing)  # type: ignore[arg-type]
