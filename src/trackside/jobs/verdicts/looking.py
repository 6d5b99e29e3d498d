"""What has to be waited for before anybody may say that all is well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from trackside.jobs.verdicts.facts import Facts, Limits, SourceView
from trackside.jobs.verdicts.presence import alive_workers, patience_ms
from trackside.jobs.verdicts.verdict import Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import listed


def looking(facts: Facts, held: Iterable[Finding], limits: Limits, now_ms: int) -> Verdict | None:
    """None: everything was looked at, and everybody who is expected has come. `held`: what would be wrong if it lasted,
    found soon after we began."""
    awaited: dict[str, list[str]] = {}
    for what, name in (*_sources(facts.sources), *_expected(facts, limits, now_ms), *_held(held)):
        names = awaited.setdefault(what, [])
        if name not in names:
            names.append(name)
    if not awaited:
        return None
    return Verdict(
        VerdictKind.LOOKING,
        Severity.CALM,
        "looking",
        f"Looking… Awaited: {'; '.join(f'{what} {listed(names)}' for what, names in awaited.items())}.",
        "Whoever does not come soon is missed, and this line says so.",
        since_ms=facts.watching_since_ms,
    )


def _sources(views: Sequence[SourceView]) -> Iterator[tuple[str, str]]:
    for view in views:
        if view.error:
            yield "an answer of", view.name
        elif view.sample is None:
            yield "the first look at", view.name


def _expected(facts: Facts, limits: Limits, now_ms: int) -> Iterator[tuple[str, str]]:
    waited_ms = now_ms - facts.watching_since_ms
    for beat in facts.expected_beats:
        if beat.name not in facts.beats and waited_ms < patience_ms(beat, limits):
            yield "the first beat of", beat.name
    for expected in facts.expected_workers:
        views = [view for view in facts.sources if expected.source in ("", view.name)]
        # What a source does not know of workers is never missed.
        if waited_ms < limits.never_seen_ms and all(view.sample is not None and view.knows_workers for view in views):
            there = len(alive_workers(expected, views))
            if there < expected.workers:
                yield "another worker of" if there else "a worker of", expected.queue


def _held(held: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    for verdict in (finding.verdict for finding in held):
        if verdict.kind is VerdictKind.UNSERVED:
            yield "a worker of", verdict.queue
        elif verdict.kind is VerdictKind.MISSING:
            yield "another worker of" if verdict.figures.get("workers") else "a worker of", verdict.queue
        elif verdict.kind is not VerdictKind.UNREACHABLE:
            yield "a second look at", verdict.queue or verdict.source or "the costs"
