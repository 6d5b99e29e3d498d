"""From facts and memory to verdicts, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from trackside.jobs.verdicts.budget import budget_findings
from trackside.jobs.verdicts.facts import Facts, Limits, waiting
from trackside.jobs.verdicts.failing import failing_findings
from trackside.jobs.verdicts.looking import looking
from trackside.jobs.verdicts.memory import Memory, SourceMemory, remembered
from trackside.jobs.verdicts.presence import beat_findings, source_findings, worker_findings
from trackside.jobs.verdicts.queues import queue_findings
from trackside.jobs.verdicts.running import running_findings
from trackside.jobs.verdicts.schedules import schedule_findings
from trackside.jobs.verdicts.verdict import Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import counted

_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Judgement:
    verdicts: tuple[Verdict, ...]
    """Worst first, those of one severity by their key; never empty: one calm line when nothing is wrong."""
    memory: Memory
    """To be handed back the next time."""


def judge(facts: Facts, memory: Memory, now_ms: int, limits: Limits = _LIMITS) -> Judgement:
    """What is wrong now. Called again and again: what has to last for a while before it is said is held in `memory`.

    A source that cannot be read now is judged by nothing but that: its last sample says what was, not what is.
    """
    sources = {
        view.name: remembered(memory.sources.get(view.name, SourceMemory()), view.sample)
        if view.sample is not None
        else memory.sources.get(view.name, SourceMemory())
        for view in facts.sources
    }
    now = Memory(memory.since, sources)
    found = {finding.verdict.key: finding for finding in _findings(facts, now, now_ms, limits)}
    since = _still_unknown(facts, memory) | {key: min(memory.since.get(key, now_ms), now_ms) for key in found}
    verdicts = [
        replace(finding.verdict, since_ms=since[key])
        for key, finding in found.items()
        if now_ms - since[key] >= finding.hold_ms
    ]
    verdicts.sort(key=lambda verdict: (verdict.severity.rank, verdict.key))
    return Judgement(tuple(verdicts) or (_quiet(facts, since, found, limits, now_ms),), Memory(since, sources))


def worst(verdicts: tuple[Verdict, ...]) -> Severity:
    return min((verdict.severity for verdict in verdicts), key=lambda severity: severity.rank, default=Severity.CALM)


def _findings(facts: Facts, memory: Memory, now_ms: int, limits: Limits) -> Iterator[Finding]:
    yield from beat_findings(facts, limits, now_ms)
    yield from worker_findings(facts, memory, limits, now_ms)
    for view in facts.sources:
        yield from source_findings(view, limits, now_ms)
        if not view.error:
            of_source = memory.sources[view.name]
            yield from queue_findings(view, of_source, limits)
            yield from running_findings(view, of_source, facts.usual_run_s, limits)
            yield from schedule_findings(view, of_source)
    yield from failing_findings(facts, limits, now_ms)
    yield from budget_findings(facts, limits, now_ms)


def _still_unknown(facts: Facts, memory: Memory) -> dict[str, int]:
    """What was found of sources of which nothing is known now: after a restart, or while they are out of reach."""
    unknown = tuple(f"/{view.name}/" for view in facts.sources if view.sample is None or view.error)
    return {key: at_ms for key, at_ms in memory.since.items() if any(name in f"{key}/" for name in unknown)}


def _quiet(
    facts: Facts, since: Mapping[str, int], found: Mapping[str, Finding], limits: Limits, now_ms: int
) -> Verdict:
    """Nothing is known to be wrong; that is not to say that all is well as long as not everything was seen."""
    # Workers are missed some time after they should have come.
    settled_ms = facts.watching_since_ms + limits.never_seen_ms + limits.unserved_ms
    held = [finding for key, finding in found.items() if since[key] <= settled_ms]
    return looking(facts, held, limits, now_ms) or _calm(facts, now_ms)


def _calm(facts: Facts, now_ms: int) -> Verdict:
    samples = [view.sample for view in facts.sources if view.sample is not None]
    if not samples:
        return _well("No job source is declared.", "Declare one under `jobs` in the configuration.", now_ms)
    figures = {
        "sources": sum(not view.error for view in facts.sources),
        "queues": sum(len(sample.queues) for sample in samples),
        "workers": sum(len(sample.workers) for sample in samples),
        "waiting": sum(waiting(queue) or 0 for sample in samples for queue in sample.queues),
        "running": sum(len(sample.running) for sample in samples),
    }
    sentence = (
        f"All is well: {counted(figures['queues'], 'queue')}, {counted(figures['workers'], 'worker')}; "
        f"{counted(figures['waiting'], 'job waits', 'jobs wait')}, {figures['running']:,} "
        f"{'runs' if figures['running'] == 1 else 'run'}."
    )
    return _well(sentence, "", now_ms, {name: float(count) for name, count in figures.items()})


def _well(sentence: str, next_step: str, now_ms: int, figures: Mapping[str, float] | None = None) -> Verdict:
    return Verdict(VerdictKind.CALM, Severity.CALM, "calm", sentence, next_step, figures=figures or {}, since_ms=now_ms)
