"""The targets: what is scraped, whether it answers, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from trackside.model.labels import quoted
from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.period import Period
from trackside.server.web.verdict import Level, late_ms, target_findings, worst_first

_ORDER = {TargetHealth.DOWN: 0, TargetHealth.UNKNOWN: 1, TargetHealth.UP: 2}


@dataclass(frozen=True, slots=True)
class TargetRow:
    status: TargetStatus
    level: Level
    word: str
    ago_ms: int | None
    is_late: bool
    extra: tuple[tuple[str, str], ...]
    """Labels other than job and instance."""
    up_link: str


@dataclass(frozen=True, slots=True)
class JobRow:
    name: str
    level: Level
    up: int
    targets: tuple[TargetRow, ...]


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    by_job = _by_job(console.targets())
    findings = worst_first(
        finding
        for job, targets in by_job.items()
        for finding in target_findings(job, targets, period.now_ms, f"#job-{job}")
    )
    jobs = sorted((_job_row(job, targets, period) for job, targets in by_job.items()), key=lambda job: -job.level)
    facts: Mapping[str, object] = {"findings": findings, "jobs": jobs, "total": sum(len(j.targets) for j in jobs)}
    level = findings[0].level if findings else Level.OK
    title = f"{findings[0].subject} {findings[0].predicate}" if findings else "Targets"
    return render.respond(request, console, period, render.Page("targets.html", "targets", title, level, facts, {}))


def _by_job(targets: Sequence[TargetStatus]) -> dict[str, list[TargetStatus]]:
    by_job: dict[str, list[TargetStatus]] = {}
    for target in targets:
        by_job.setdefault(target.labels.get("job") or target.scrape_pool, []).append(target)
    return by_job


def _job_row(job: str, targets: Sequence[TargetStatus], period: Period) -> JobRow:
    rows = sorted((_target_row(target, period) for target in targets), key=lambda row: _ORDER[row.status.health])
    level = max(row.level for row in rows)
    return JobRow(job, level, sum(target.health is TargetHealth.UP for target in targets), tuple(rows))


def _target_row(target: TargetStatus, period: Period) -> TargetRow:
    late = late_ms(target, period.now_ms) is not None
    level = {TargetHealth.DOWN: Level.BAD, TargetHealth.UNKNOWN: Level.UNKNOWN, TargetHealth.UP: Level.OK}[
        target.health
    ]
    word = {TargetHealth.DOWN: "down", TargetHealth.UNKNOWN: "not scraped yet", TargetHealth.UP: "up"}[target.health]
    if late and target.health is TargetHealth.UP:
        level, word = Level.WARN, "late"
    matchers = ", ".join(f'{n}="{quoted(target.labels.get(n))}"' for n in ("job", "instance") if n in target.labels)
    return TargetRow(
        target,
        level,
        word,
        None if target.last_scrape_ms is None else period.now_ms - target.last_scrape_ms,
        late,
        target.labels.without("job", "instance").pairs,
        period.explore(f"up{{{matchers}}}"),
    )
