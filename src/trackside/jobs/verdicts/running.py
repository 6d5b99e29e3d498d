"""Running jobs that are abandoned, done twice, or endless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trackside.jobs.verdicts.facts import Limits, SourceView, is_alive
from trackside.jobs.verdicts.memory import SourceMemory
from trackside.jobs.verdicts.verdict import MAX_EVIDENCE, Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import counted, duration, listed
from trackside.model.jobs import Job, JobsSample


def running_findings(
    view: SourceView, memory: SourceMemory, usual_run_s: Mapping[tuple[str, str], float], limits: Limits
) -> Iterator[Finding]:
    if view.sample is None:
        return
    abandoned = orphans(view, memory, limits)
    if abandoned:
        yield Finding(_orphaned(view, view.sample, abandoned))
    if memory.doubled:
        yield Finding(_duplicated(view, memory))
    lost = {job.id for job in abandoned}
    stuck = [
        job
        for job in view.sample.running
        if job.id not in lost and _run_ms(job, view.sample) > _allowed_ms(view.name, job, usual_run_s, limits)
    ]
    if stuck:
        yield Finding(_stuck(view, view.sample, stuck, usual_run_s))


def orphans(view: SourceView, memory: SourceMemory, limits: Limits) -> list[Job]:
    """Running by the books, but the lease is over, or the worker late or gone."""
    if view.sample is None:
        return []
    at_ms = view.sample.at_ms
    late = {worker.id for worker in view.sample.workers if not is_alive(worker, at_ms)}
    return [
        job
        for job in view.sample.running
        if _is_lease_over(job, at_ms, limits)
        or job.worker in late
        or (view.knows_workers and _is_workerless(job, memory, at_ms, limits))
    ]


def _is_lease_over(job: Job, at_ms: int, limits: Limits) -> bool:
    return job.lease_until_ms is not None and at_ms > job.lease_until_ms + limits.lease_slack_ms


def _is_workerless(job: Job, memory: SourceMemory, at_ms: int, limits: Limits) -> bool:
    seen = memory.running.get(job.id)
    return seen is not None and seen.workerless_ms is not None and at_ms - seen.workerless_ms >= limits.vanished_ms


def _orphaned(view: SourceView, sample: JobsSample, jobs: Sequence[Job]) -> Verdict:
    ids = tuple(job.id for job in jobs)
    workers = tuple(dict.fromkeys(job.worker for job in jobs if job.worker))
    longest = max(jobs, key=lambda job: _run_ms(job, sample))
    its = "its" if len(jobs) == 1 else "their"
    silent = f"{its} worker {listed(workers)} is silent" if workers else f"{its} lease is over"
    queues = {job.queue for job in jobs}
    return Verdict(
        VerdictKind.ORPHANED,
        Severity.HIGH,
        f"orphaned/{view.name}",
        f"{counted(len(jobs), 'job is', 'jobs are')} abandoned: {listed(ids)} still "
        f"{'counts' if len(jobs) == 1 else 'count'} as running, but {silent}. "
        f"{longest.kind} {longest.id} began {duration(_run_ms(longest, sample) / 1000)} ago.",
        f"Queue {'it' if len(jobs) == 1 else 'them'} again, or start a worker: some libraries take abandoned jobs up "
        "when one starts.",
        view.name,
        queues.pop() if len(queues) == 1 else "",
        ids[:MAX_EVIDENCE],
        workers[:MAX_EVIDENCE],
        {"jobs": float(len(jobs)), "longest_s": _run_ms(longest, sample) / 1000},
    )


def _duplicated(view: SourceView, memory: SourceMemory) -> Verdict:
    ids = tuple(sorted(memory.doubled, key=lambda id: -memory.doubled[id].at_ms))
    newest = memory.doubled[ids[0]]
    workers = tuple(dict.fromkeys(worker for id in ids for worker in memory.doubled[id].workers))
    return Verdict(
        VerdictKind.DUPLICATED,
        Severity.HIGH,
        f"duplicated/{view.name}",
        f"{counted(len(ids), 'job is running', 'jobs are running')} twice: {listed(ids)}, "
        f"{'the last ' if len(ids) > 1 else ''}on {listed(newest.workers)} at once.",
        "Check for effects that happened twice; look for a worker that takes running jobs up when it starts.",
        view.name,
        jobs=ids[:MAX_EVIDENCE],
        workers=workers[:MAX_EVIDENCE],
        figures={"jobs": float(len(ids))},
    )


def _stuck(
    view: SourceView, sample: JobsSample, jobs: Sequence[Job], usual_run_s: Mapping[tuple[str, str], float]
) -> Verdict:
    longest = max(jobs, key=lambda job: _run_ms(job, sample))
    usual = usual_run_s.get((view.name, longest.kind))
    where = f" on {longest.worker}" if longest.worker else ""
    known = "" if usual is None else f"; 99 of 100 {longest.kind} jobs take no more than {duration(usual)}"
    more = "" if len(jobs) == 1 else f" {counted(len(jobs) - 1, 'other', 'others')} with it."
    return Verdict(
        VerdictKind.STUCK,
        Severity.MEDIUM,
        f"stuck/{view.name}",
        f"{longest.kind} {longest.id} has been running for {duration(_run_ms(longest, sample) / 1000)}{where}{known}."
        + more,
        "See what it waits for; cancel it if nothing comes of it. A time-out would have ended it.",
        view.name,
        longest.queue if len({job.queue for job in jobs}) == 1 else "",
        tuple(job.id for job in jobs)[:MAX_EVIDENCE],
        tuple(dict.fromkeys(job.worker for job in jobs if job.worker))[:MAX_EVIDENCE],
        {"jobs": float(len(jobs)), "longest_s": _run_ms(longest, sample) / 1000},
    )


def _run_ms(job: Job, sample: JobsSample) -> int:
    return 0 if job.started_ms is None else max(0, sample.at_ms - job.started_ms)


def _allowed_ms(source: str, job: Job, usual_run_s: Mapping[tuple[str, str], float], limits: Limits) -> float:
    usual = usual_run_s.get((source, job.kind))
    return limits.stuck_ms if usual is None else max(limits.stuck_least_ms, 1000 * usual * limits.stuck_times)
