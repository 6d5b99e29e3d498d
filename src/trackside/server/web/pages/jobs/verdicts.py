"""Verdicts as the page shows them: the sentence, its evidence as links, and the next step."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from trackside.jobs.verdicts.verdict import Severity, Verdict, VerdictKind
from trackside.server.web.pages.jobs.choice import Choice, job_path
from trackside.server.web.period import Period
from trackside.server.web.verdict import Level

LEVELS = {
    Severity.DOWN: Level.BAD,
    Severity.HIGH: Level.BAD,
    Severity.MEDIUM: Level.WARN,
    Severity.LOW: Level.UNKNOWN,
    Severity.CALM: Level.OK,
}
EVIDENCE = 5
"""Links of each sort."""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    level: Level
    text: str
    next_step: str
    since_ms: int | None
    links: tuple[tuple[str, str, str], ...]
    """What it is ("queue", "job"), its name and its address."""
    more: int
    """Jobs that are no link."""


def verdict_rows(
    verdicts: Sequence[Verdict], choice: Choice, sources: Container[str], period: Period
) -> tuple[list[VerdictRow], int]:
    """Those of what is chosen, and how many there are elsewhere."""
    wanted = [
        one for one in verdicts if (one.source == "" or one.source in sources) and choice.covers(one.source, one.queue)
    ]
    return [_row(one, choice, period) for one in wanted], len(verdicts) - len(wanted)


def _row(verdict: Verdict, choice: Choice, period: Period) -> VerdictRow:
    links = []
    if verdict.queue:
        href = choice.link(period, source=verdict.source, queue=verdict.queue, kind="", state=None, worker="", text="")
        links.append(("queue", verdict.queue, href))
    jobs = verdict.jobs[:EVIDENCE] if verdict.source else ()
    links += [("job", id, period.link(job_path(verdict.source, id))) for id in jobs]
    return VerdictRow(
        Level.UNKNOWN if verdict.kind is VerdictKind.LOOKING else LEVELS[verdict.severity],
        verdict.sentence,
        verdict.next_step,
        verdict.since_ms if verdict.severity is not Severity.CALM else None,
        tuple(links),
        len(verdict.jobs) - len(jobs),
    )
