"""Queues that nobody serves, that fall behind, or that are paused with work in them."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

from trackside.jobs.verdicts.drain import drain_s, slope, span_s
from trackside.jobs.verdicts.facts import Limits, SourceView, is_alive, oldest_s, serves, waiting
from trackside.jobs.verdicts.memory import SourceMemory
from trackside.jobs.verdicts.verdict import MAX_EVIDENCE, Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import counted, duration
from trackside.model.jobs import JobsSample, JobState, QueueNow

_NEVER_SPAN_S = 180.0
_LONG_WAIT_S = 60.0
_HOLD_MS = 30_000
_STILL_MS = 60_000
_STILL_WAIT_S = 15.0
START = {
    "rq": "rq worker {queue}",
    "celery": "celery -A APP worker -Q {queue}",
    "arq": "arq APP.WorkerSettings",
    "dramatiq": "dramatiq APP --queues {queue}",
    "procrastinate": "procrastinate --app=APP worker --queues {queue}",
}
"""How a worker is started."""


def queue_findings(view: SourceView, memory: SourceMemory, limits: Limits) -> Iterator[Finding]:
    if view.sample is None:
        return
    for queue in view.sample.queues:
        count, oldest = waiting(queue), oldest_s(queue, view.sample.at_ms)
        if not count:
            continue
        if queue.is_paused:
            yield _paused(view, queue, count, oldest)
        elif is_unserved(view, view.sample, queue, memory):
            # Once the oldest has waited for a minute, nobody need be given more time.
            is_certain = view.knows_workers and (oldest or 0) >= _LONG_WAIT_S
            hold_ms = 0 if is_certain else limits.unserved_ms
            yield Finding(_unserved(view, memory, queue, view.sample.at_ms), hold_ms)
        else:
            yield from _behind(view, memory, queue, limits)


def is_unserved(view: SourceView, sample: JobsSample, queue: QueueNow, memory: SourceMemory) -> bool:
    """Jobs are due, it is not paused, and no worker that lives serves it; or, where idle workers cannot be seen,
    nothing happens though something could."""
    if queue.is_paused or not waiting(queue):
        return False
    alive = [worker for worker in sample.workers if is_alive(worker, sample.at_ms)]
    if view.knows_workers:
        return not any(serves(worker, queue.name) for worker in alive)
    return not alive and _stands_still(sample, queue, memory)


def _stands_still(sample: JobsSample, queue: QueueNow, memory: SourceMemory) -> bool:
    """Nothing runs in the whole source, as far as it says so, and nothing has left the queue for a while."""
    if JobState.RUNNING not in queue.counts or sample.running:
        return False
    if any(other.counts.get(JobState.RUNNING) for other in sample.queues):
        return False
    points = [one for one in memory.depths.get(queue.name, ()) if sample.at_ms - one.at_ms <= _STILL_MS]
    if any(point.ended for point in points) or (points and points[-1].waiting < points[0].waiting):
        return False
    return (oldest_s(queue, sample.at_ms) or _STILL_WAIT_S) >= _STILL_WAIT_S


def start_command(backend: str, queue: str) -> str:
    command = START.get(backend)
    return f": {command.format(queue=queue)}" if command else ""


def last_worker(memory: SourceMemory, queue: str, at_ms: int) -> tuple[str, str]:
    """Who served the queue last, and when that was, in words."""
    served = [(seen.seen_ms, id) for id, seen in memory.workers.items() if queue in seen.queues or "*" in seen.queues]
    if not served:
        return "", "no worker for it was ever seen"
    seen_ms, id = max(served)
    return id, f"its last worker {id} was last seen {duration((at_ms - seen_ms) / 1000)} ago"


def _unserved(view: SourceView, memory: SourceMemory, queue: QueueNow, at_ms: int) -> Verdict:
    count, oldest = waiting(queue) or 0, oldest_s(queue, at_ms)
    worker, seen = last_worker(memory, queue.name, at_ms)
    nobody = "Nobody consumes"
    if not view.knows_workers:
        nobody, seen = "Nobody seems to consume", "nothing runs"
    return Verdict(
        VerdictKind.UNSERVED,
        Severity.DOWN,
        f"unserved/{view.name}/{queue.name}",
        f"{nobody} the queue {queue.name}: {_waiting(count, oldest)}, and {seen}.",
        f"Start a worker for {queue.name}{start_command(view.backend, queue.name)}",
        view.name,
        queue.name,
        workers=(worker,) if worker else (),
        figures=_figures(count, oldest),
    )


def _behind(view: SourceView, memory: SourceMemory, queue: QueueNow, limits: Limits) -> Iterator[Finding]:
    assert view.sample is not None
    count, oldest = waiting(queue) or 0, oldest_s(queue, view.sample.at_ms)
    points = memory.depths.get(queue.name, ())
    drain = drain_s(points, oldest)
    is_late = oldest is not None and oldest * 1000 > limits.oldest_ms
    workers = tuple(worker.id for worker in view.sample.workers if serves(worker, queue.name))[:MAX_EVIDENCE]
    figures = _figures(count, oldest) | ({} if drain is None else {"drain_s": drain})
    served_by = counted(len(workers), "worker")
    if drain == inf and count >= limits.backlog and span_s(points) >= _NEVER_SPAN_S and slope(points) >= 0:
        grows = 60 * slope(points)
        verdict = Verdict(
            VerdictKind.NEVER_DRAINS,
            Severity.HIGH if is_late else Severity.MEDIUM,
            f"never-drains/{view.name}/{queue.name}",
            f"The queue {queue.name} will never drain at this rate: {_waiting(count, oldest)}, "
            f"{_growth(grows)} with {served_by}.",
            f"Add workers for {queue.name}, or find out what enqueues so much, or what has become slow.",
            view.name,
            queue.name,
            workers=workers,
            figures=figures | {"growth_per_minute": grows},
        )
        yield Finding(verdict, _HOLD_MS)
    elif is_late:
        verdict = Verdict(
            VerdictKind.WAITING,
            Severity.MEDIUM,
            f"waiting/{view.name}/{queue.name}",
            f"Jobs in {queue.name} wait too long: {_waiting(count, oldest)}; {drains(drain)} with {served_by}.",
            f"Look what the workers of {queue.name} are busy with; add some if this goes on.",
            view.name,
            queue.name,
            workers=workers,
            figures=figures,
        )
        yield Finding(verdict, _HOLD_MS)


def drains(drain: float | None) -> str:
    if drain is None:
        return "too early to say when the queue is empty"
    return f"it drains in {duration(drain)}" if isfinite(drain) else "it does not get shorter"


def _growth(per_minute: float) -> str:
    return f"{per_minute:,.0f} more each minute" if per_minute >= 1 else "not one less for minutes"


def _paused(view: SourceView, queue: QueueNow, count: int, oldest: float | None) -> Finding:
    verdict = Verdict(
        VerdictKind.PAUSED,
        Severity.LOW,
        f"paused/{view.name}/{queue.name}",
        f"The queue {queue.name} is paused: {_waiting(count, oldest)}.",
        f"Resume {queue.name} if nobody means it to stand still.",
        view.name,
        queue.name,
        figures=_figures(count, oldest),
    )
    return Finding(verdict)


def _waiting(count: int, oldest: float | None) -> str:
    jobs = counted(count, "job waits", "jobs wait")
    if oldest is None:
        return jobs
    return f"{jobs} for {duration(oldest)}" if count == 1 else f"{jobs}, the oldest for {duration(oldest)}"


def _figures(count: int, oldest: float | None) -> dict[str, float]:
    return {"waiting": float(count)} | ({} if oldest is None else {"oldest_s": oldest})
