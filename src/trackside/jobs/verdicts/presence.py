"""Who should be there and is not: declared pollers and workers, workers that fell silent, sources out of reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trackside.jobs.verdicts.facts import ExpectedBeat, ExpectedWorkers, Facts, Limits, SourceView, is_alive, serves
from trackside.jobs.verdicts.memory import Memory, SourceMemory
from trackside.jobs.verdicts.queues import last_worker, start_command
from trackside.jobs.verdicts.verdict import MAX_EVIDENCE, Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import counted, duration, listed
from trackside.model.jobs import WorkerNow

_BEAT_SLACK_MS = 2_000


def beat_findings(facts: Facts, limits: Limits, now_ms: int) -> Iterator[Finding]:
    for beat in facts.expected_beats:
        heard_ms = facts.beats.get(beat.name)
        if heard_ms is None:
            waited_ms = now_ms - facts.watching_since_ms
            if waited_ms >= patience_ms(beat, limits):
                yield _silent(
                    beat,
                    f"{beat.name} was never seen: it should say every {duration(beat.every_ms / 1000)} that it lives, "
                    f"and has not done so in the {duration(waited_ms / 1000)} since we began to watch.",
                )
        elif is_overdue(beat, late_ms := now_ms - heard_ms, limits):
            yield _silent(
                beat,
                f"{beat.name} has stopped: it should say every {duration(beat.every_ms / 1000)} that it lives, and was "
                f"last heard {duration(late_ms / 1000)} ago.",
                {"late_s": late_ms / 1000},
            )


def patience_ms(beat: ExpectedBeat, limits: Limits) -> float:
    """So long after we began to watch a first beat may be awaited."""
    return max(limits.never_seen_ms, beat.every_ms * limits.late_beats)


def is_overdue(beat: ExpectedBeat, late_ms: int, limits: Limits) -> bool:
    """So long after it was heard last."""
    return late_ms > beat.every_ms * limits.late_beats + _BEAT_SLACK_MS


def alive_workers(expected: ExpectedWorkers, views: Iterable[SourceView]) -> list[str]:
    """Ids, in the sources that were read."""
    return [
        worker.id
        for view in views
        if view.sample is not None
        for worker in view.sample.workers
        if is_alive(worker, view.sample.at_ms) and serves(worker, expected.queue)
    ]


def worker_findings(facts: Facts, memory: Memory, limits: Limits, now_ms: int) -> Iterator[Finding]:
    """Of the workers that were declared, and of those that are listed and overdue."""
    is_settled = now_ms - facts.watching_since_ms >= limits.never_seen_ms
    for expected in facts.expected_workers:
        views = [view for view in facts.sources if expected.source in ("", view.name)]
        known = [view for view in views if view.sample is not None and not view.error and view.knows_workers]
        # A source that cannot be asked is a verdict of its own.
        if is_settled and known and len(known) == len(views):
            yield from _too_few(expected, known, memory, limits)
    for view in facts.sources:
        yield from _late_workers(view)


def source_findings(view: SourceView, limits: Limits, now_ms: int) -> Iterator[Finding]:
    if view.error:
        seen = "" if view.looked_ms is None else f" It last answered {duration((now_ms - view.looked_ms) / 1000)} ago."
        verdict = Verdict(
            VerdictKind.UNREACHABLE,
            Severity.DOWN,
            f"unreachable/{view.name}",
            f"The job source {view.name} cannot be read: {view.error.rstrip('.')}.{seen}",
            f"Check that {view.backend} runs, and that the address and the credentials of {view.name} are right.",
            view.name,
        )
        yield Finding(verdict, limits.unreachable_ms)
    if view.slowed:
        verdict = Verdict(
            VerdictKind.SLOWED,
            Severity.LOW,
            f"slowed/{view.name}",
            view.slowed,
            "Numbers of this source are older than usual. A faster connection, or fewer queues, would help.",
            view.name,
        )
        yield Finding(verdict)


def _silent(beat: ExpectedBeat, sentence: str, figures: dict[str, float] | None = None) -> Finding:
    return Finding(
        Verdict(
            VerdictKind.MISSING,
            Severity.DOWN,
            f"beat/{beat.name}",
            sentence,
            f"Start the process that runs {beat.name}; it may have been started without it.",
            workers=(beat.name,),
            figures=figures or {},
        )
    )


def _too_few(expected: ExpectedWorkers, views: list[SourceView], memory: Memory, limits: Limits) -> Iterator[Finding]:
    alive = alive_workers(expected, views)
    if len(alive) >= expected.workers:
        return
    view = views[0]
    assert view.sample is not None
    _, seen = last_worker(memory.sources.get(view.name, SourceMemory()), expected.queue, view.sample.at_ms)
    wanted = counted(expected.workers, "worker")
    if alive:
        sentence = f"The queue {expected.queue} has {len(alive)} of {wanted}: {listed(alive)}."
    else:
        sentence = f"The queue {expected.queue} should have {wanted} and has none: {seen.replace('for it ', '')}."
    yield Finding(
        Verdict(
            VerdictKind.MISSING,
            Severity.MEDIUM if alive else Severity.DOWN,
            f"workers/{expected.source}/{expected.queue}",
            sentence,
            f"Start a worker for {expected.queue}{start_command(view.backend, expected.queue)}",
            view.name if len(views) == 1 else "",
            expected.queue,
            workers=tuple(alive)[:MAX_EVIDENCE],
            figures={"workers": float(len(alive)), "expected": float(expected.workers)},
        ),
        limits.unserved_ms,
    )


def _late_workers(view: SourceView) -> Iterator[Finding]:
    if view.sample is None:
        return
    at_ms = view.sample.at_ms
    late = [worker for worker in view.sample.workers if not is_alive(worker, at_ms)]
    if late:
        ids = tuple(worker.id for worker in late)
        longest = max(_overdue_s(worker, at_ms) for worker in late)
        verdict = Verdict(
            VerdictKind.LATE_WORKER,
            Severity.MEDIUM,
            f"late/{view.name}",
            f"{counted(len(late), 'worker is', 'workers are')} late: {listed(ids)} should have said "
            f"{duration(longest)} ago that {'it lives' if len(late) == 1 else 'they live'}.",
            "See whether the process still runs: it may have been killed, or be too busy to say so.",
            view.name,
            workers=ids[:MAX_EVIDENCE],
            figures={"workers": float(len(late)), "late_s": longest},
        )
        yield Finding(verdict)


def _overdue_s(worker: WorkerNow, at_ms: int) -> float:
    return 0.0 if worker.expected_ms is None else (at_ms - worker.expected_ms) / 1000
