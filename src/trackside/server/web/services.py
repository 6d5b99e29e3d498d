"""What the overview says of each service (a scrape job): up, rate, errors, duration, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.web.ask import Answer, Question
from trackside.server.web.chart import onto_grid
from trackside.server.web.figures import amount, per_second, seconds, share
from trackside.server.web.period import Period
from trackside.server.web.red import Names, Red
from trackside.server.web.verdict import (
    ERRORS_BAD,
    ERRORS_WORTH_SAYING,
    Finding,
    Level,
    failing_finding,
    since_when,
    target_findings,
)

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True)
class Figures:
    """The five numbers of a service or a route; None where nothing is known."""

    rate: float | None = None
    errors: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    in_flight: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a table, and the query behind it."""

    text: str
    href: str = ""
    level: Level = Level.OK


@dataclass(frozen=True, slots=True)
class ServiceRow:
    name: str
    up: int
    total: int
    level: Level
    figures: Figures
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RouteRow:
    method: str
    route: str
    cells: tuple[Cell, ...]


COLUMNS = ("Rate", "Errors", "p50", "p95", "p99", "In flight")


def cells(figures: Figures, red: Red, period: Period) -> tuple[Cell, ...]:
    """In the order of `COLUMNS`."""
    failing = figures.errors or 0
    level = Level.BAD if failing >= ERRORS_BAD else Level.WARN if failing >= ERRORS_WORTH_SAYING else Level.OK
    known: list[tuple[float | None, Callable[[float | None], str], Callable[[], str], Level]] = [
        (figures.rate, per_second, red.rate, Level.OK),
        (figures.errors, share, red.errors, level),
        *(
            (value, seconds, partial(red.quantile, quantile), Level.OK)
            for value, (_, quantile) in zip((figures.p50, figures.p95, figures.p99), QUANTILES, strict=True)
        ),
        (figures.in_flight, amount, red.in_flight, Level.OK),
    ]
    return tuple(
        Cell(text(value), "" if value is None else period.explore(expr()), level) for value, text, expr, level in known
    )


def figure_questions(red: Red, by: Sequence[str], in_flight_by: Sequence[str]) -> dict[str, Question]:
    """One for each column, for all rows at once."""
    names = red.names
    questions = {}
    if names.requests:
        questions["rate"] = Question(red.rate(*by))
    if names.requests and names.statuses:
        questions["errors"] = Question(red.errors(*by))
    if names.durations:
        questions.update({name: Question(red.quantile(q, *by)) for name, q in QUANTILES})
    if names.in_flight:
        questions["in_flight"] = Question(red.in_flight(*in_flight_by))
    return questions


def service_questions(red: Red) -> dict[str, Question]:
    questions = figure_questions(red, ("job",), ("job",))
    if "errors" in questions:
        questions["errors_over_time"] = Question(questions["errors"].expr, is_range=True)
    questions["up_over_time"] = Question("min by (job) (up)", is_range=True)
    return questions


def figures_by(answers: Mapping[str, Answer], by: Sequence[str], names: Names) -> dict[tuple[str, ...], Figures]:
    columns = {name: answers[name].by(*by) for name in Figures.__dataclass_fields__ if name in answers}
    rates = columns.get("rate", {})
    if names.statuses and not (answers["errors"].error if "errors" in answers else None):
        # No series with a 5xx status means that nothing failed, which is worth more than "unknown".
        columns["errors"] = dict.fromkeys(rates, 0.0) | columns.get("errors", {})
    keys = {key for column in columns.values() for key in column}
    return {key: Figures(**{name: _number(column.get(key)) for name, column in columns.items()}) for key in keys}


def service_rows(
    targets: Sequence[TargetStatus], answers: Mapping[str, Answer], names: Names, period: Period, red: Red
) -> list[ServiceRow]:
    """The worst first, else in the order of the configuration."""
    by_job: dict[str, list[TargetStatus]] = {}
    for target in targets:
        by_job.setdefault(target.labels.get("job") or target.scrape_pool, []).append(target)
    figures = {key[0]: value for key, value in figures_by(answers, ("job",), names).items()}
    for job in sorted(figures):
        # Pushed by remote write: series without a target of ours.
        if job:
            by_job.setdefault(job, [])
    rows = []
    for job, its_targets in by_job.items():
        numbers = figures.get(job, Figures())
        findings = _findings(job, its_targets, numbers, answers, period, red)
        level = max((finding.level for finding in findings), default=_calm_level(its_targets, numbers))
        up = sum(target.health is TargetHealth.UP for target in its_targets)
        linked = cells(numbers, replace(red, service=job), period)
        rows.append(ServiceRow(job, up, len(its_targets), level, numbers, linked, tuple(findings)))
    return sorted(rows, key=lambda row: -row.level)


def route_rows(answers: Mapping[str, Answer], red: Red, period: Period, limit: int) -> tuple[tuple[RouteRow, ...], int]:
    """The busiest, and how many there are besides."""
    names = red.names
    # The gauge may lack the method, as nobody knows it before the request was parsed.
    loads = answers["in_flight"].by(*names.in_flight_by) if "in_flight" in answers else {}
    others = {name: answer for name, answer in answers.items() if name != "in_flight"}
    found = sorted(figures_by(others, names.by, names).items(), key=lambda item: (-(item[1].rate or 0), item[0]))
    rows = []
    for key, figures in found[:limit]:
        values = dict(zip(names.by, key, strict=True))
        load = loads.get(tuple(values[name] for name in names.in_flight_by))
        one = replace(red, only=tuple(values.items()))
        rows.append(
            RouteRow(
                values.get(names.method, ""),
                values.get(names.route, ""),
                cells(replace(figures, in_flight=load), one, period),
            )
        )
    return tuple(rows), max(0, len(found) - limit)


def _findings(
    job: str,
    targets: Sequence[TargetStatus],
    numbers: Figures,
    answers: Mapping[str, Answer],
    period: Period,
    red: Red,
) -> list[Finding]:
    findings = target_findings(job, targets, period.now_ms, period.link("/targets") + f"#job-{job}")
    if any(finding.predicate.endswith("down") for finding in findings):
        began = _since(answers.get("up_over_time"), job, period, below=True)
        findings = [_dated(finding, began) if finding.predicate.endswith("down") else finding for finding in findings]
    if numbers.errors is not None:
        began = _since(answers.get("errors_over_time"), job, period)
        one = replace(red, service=job)
        failing = failing_finding(job, numbers.errors, began, period.explore(one.errors()))
        findings += [failing] if failing else []
    return findings


def _calm_level(targets: Sequence[TargetStatus], numbers: Figures) -> Level:
    unknown = targets and all(target.health is TargetHealth.UNKNOWN for target in targets)
    return Level.UNKNOWN if unknown or (not targets and numbers.rate is None) else Level.OK


def _since(answer: Answer | None, job: str, period: Period, *, below: bool = False) -> tuple[int, bool] | None:
    matrix = answer.matrix if answer is not None else None
    if matrix is None:
        return None
    grid = onto_grid(matrix, period.start_ms, period.end_ms, period.step_ms)
    for labels, values, present in zip(grid.labels, grid.values.tolist(), grid.present.tolist(), strict=True):
        if labels.get("job") == job:
            known = [value if there else None for value, there in zip(values, present, strict=True)]
            if below:
                known = [None if value is None else 1 - value for value in known]
            return since_when(grid.steps_ms.tolist(), known, 1.0 if below else ERRORS_WORTH_SAYING)
    return None


def _dated(finding: Finding, began: tuple[int, bool] | None) -> Finding:
    since_ms, since_before = began or (None, False)
    return replace(finding, since_ms=since_ms, since_before=since_before)


def _number(value: float | None) -> float | None:
    """NaN is what a quantile of no requests, or a share of none, comes to: nothing to show."""
    return None if value is None or value != value else value
