"""The overview: is anything wrong, with what, since when; then the services, and one of them in detail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from trackside.model.alerts import AlertState
from trackside.server.web import render
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.chart import Chart, Line, lines_of, onto_grid, same_hues
from trackside.server.web.console import Console
from trackside.server.web.heard import Heard, heard
from trackside.server.web.pages.alerts.places import alert_path
from trackside.server.web.period import Period
from trackside.server.web.red import Names, Red, find_names
from trackside.server.web.services import (
    COLUMNS,
    QUANTILES,
    RouteRow,
    ServiceRow,
    figure_questions,
    route_rows,
    service_questions,
    service_rows,
)
from trackside.server.web.verdict import (
    Finding,
    Level,
    alert_finding,
    alert_level,
    alerts_in,
    rule_findings,
    worst_first,
)

ROUTES_IN_A_CHART = 6
ROUTES_IN_THE_TABLE = 30
ALERTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Detail:
    """One service in charts and by route."""

    service: ServiceRow
    charts: tuple[Chart, ...]
    routes: tuple[RouteRow, ...]
    hidden_routes: int
    failure: str
    """Why the table has no numbers, when a query failed."""


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    backend, clock = console.backend, console.clock
    names = await find_names(backend, period)
    red = Red(names, period.window)
    answers = await ask_all(backend, clock, period, service_questions(red))
    rows = service_rows(console.targets(), answers, names, period, red)
    wanted = request.query_params.get("service", "")
    selected = _selected(rows, wanted)
    detail = await _detail(console, period, selected) if selected else None
    firing = heard(console)
    findings = _findings(console, rows, firing, period)
    facts = {
        "findings": findings,
        "rows": rows,
        "calm": _calm_line(rows, firing.muted),
        "selected": selected.name if selected else "",
        "detail": detail,
        "firing_alerts": firing.alerts[:ALERTS_SHOWN],
        "more_alerts": max(0, len(firing.alerts) - ALERTS_SHOWN),
        "muted_alerts": firing.muted,
        "pending_alerts": alerts_in(console.rule_groups(), AlertState.PENDING)[:ALERTS_SHOWN],
        "columns": COLUMNS,
        "failure": next((answer.reason for answer in answers.values() if answer.error), ""),
        "service_links": {row.name: period.link("/", service=row.name) for row in rows},
        "targets_link": period.link("/targets"),
    }
    level = findings[0].level if findings else Level.OK
    title = _title(findings)
    # Only a service that somebody chose stays in the address: what is shown by default follows what there is to see.
    params = {"service": wanted}
    page = render.Page("overview.html", "overview", title, level, facts, params)
    return render.respond(request, console, period, page)


def _findings(console: Console, rows: Sequence[ServiceRow], firing: Heard, period: Period) -> list[Finding]:
    """What is wrong with services and rules; and the worst alert, if it is worse than all of that.

    The other alerts stand beside, and most of them say in other words what is said here.
    """
    groups = console.rule_groups()
    found = worst_first([*(finding for row in rows for finding in row.findings), *rule_findings(groups)])
    worst = next(iter(firing.alerts), None)
    if worst is not None and (not found or alert_level(worst) > found[0].level):
        return [alert_finding(worst, period.link(alert_path(worst))), *found]
    return found


def _title(findings: Sequence[Finding]) -> str:
    return f"{findings[0].subject} {findings[0].predicate}".strip() if findings else "All is well"


def _calm_line(rows: Sequence[ServiceRow], muted: int) -> str:
    total = sum(row.total for row in rows)
    alerts = f"what fires ({muted}) is silenced" if muted else "nothing is firing"
    services = "The service answers" if len(rows) == 1 else f"All {len(rows)} services answer"
    return f"{services}, on {total} target{'s' if total != 1 else ''}; {alerts}." if total else ""


def _selected(rows: Sequence[ServiceRow], wanted: str) -> ServiceRow | None:
    by_name = {row.name: row for row in rows}
    with_traffic = [row for row in rows if row.figures.rate is not None]
    return by_name.get(wanted) or next(iter([*with_traffic, *rows]), None)


async def _detail(console: Console, whole: Period, service: ServiceRow) -> Detail:
    # Its own scrape interval decides how far its rates look back, not that of a slower neighbour.
    own = [target.interval_ms for target in console.targets() if target.labels.get("job") == service.name]
    period = replace(whole, interval_ms=max(own)) if own else whole
    names = await find_names(console.backend, period, service.name)
    red = Red(names, period.window, service.name)
    table = figure_questions(red, names.by, names.in_flight_by)
    charts = _chart_questions(red)
    of_table, of_charts = await asyncio.gather(
        ask_all(console.backend, console.clock, period, table),
        ask_all(console.backend, console.clock, period, charts),
    )
    routes, hidden_routes = route_rows(of_table, red, period, ROUTES_IN_THE_TABLE)
    return Detail(
        service,
        _charts(of_charts, names, period),
        routes,
        hidden_routes,
        next((answer.reason for answer in of_table.values() if answer.error), ""),
    )


def _chart_questions(red: Red) -> dict[str, Question]:
    names = red.names
    exprs = {}
    if names.requests:
        exprs["rate"] = red.rate(*names.by)
    if names.requests and names.statuses:
        # Where nothing fails there is no series of failures: that is a line at zero, and no empty chart.
        exprs["errors"] = f"{red.errors(*names.by)} or 0 * {red.rate(*names.by)}"
    if names.durations:
        exprs.update({name: red.quantile(q) for name, q in QUANTILES})
    if names.in_flight:
        exprs["in_flight"] = red.mean_in_flight(*names.in_flight_by)
    return {name: Question(expr, is_range=True) for name, expr in exprs.items()}


def _charts(answers: Mapping[str, Answer], names: Names, period: Period) -> tuple[Chart, ...]:
    by_route = [
        _by_route(chart_id, title, unit, answers[name], by, period)
        for name, chart_id, title, unit, by in (
            ("rate", "rate", "Requests", "rate", names.by),
            ("errors", "errors", "Server errors", "share", names.by),
            ("in_flight", "in-flight", "In flight", "amount", names.in_flight_by),
        )
        if name in answers
    ]
    duration = [_quantiles([(name, answers[name]) for name, _ in QUANTILES], period)] if "p50" in answers else []
    charts = same_hues(by_route)
    # Rate, errors, duration, and then what is under way: the order in which one asks.
    return (*charts[:2], *duration, *charts[2:])


def _by_route(chart_id: str, title: str, unit: str, answer: Answer, by: Sequence[str], period: Period) -> Chart:
    # A service whose series have no route: "all" says more than "{}".
    lines, hidden = _lines(answer, by or ("",), period)
    return Chart(
        chart_id,
        title,
        unit,
        period.start_ms,
        period.end_ms,
        period.step_ms,
        lines,
        period.explore(answer.question.expr),
        hidden,
        answer.reason,
    )


def _quantiles(answers: Sequence[tuple[str, Answer]], period: Period) -> Chart:
    lines: list[Line] = []
    for name, answer in reversed(answers):
        found, _ = _lines(answer, (), period)
        lines += [replace(line, name=name, title=name, hue=len(lines)) for line in found[:1]]
    last = answers[-1][1]
    expr = " or ".join(
        f'label_replace({answer.question.expr}, "quantile", "{name}", "", "")' for name, answer in reversed(answers)
    )
    return Chart(
        "duration",
        "Duration",
        "seconds",
        period.start_ms,
        period.end_ms,
        period.step_ms,
        tuple(lines),
        period.explore(expr),
        0,
        last.reason,
    )


def _lines(answer: Answer, by: Sequence[str], period: Period) -> tuple[tuple[Line, ...], int]:
    if answer.matrix is None:
        return (), 0
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    lines, hidden = lines_of(grid, by, limit=ROUTES_IN_A_CHART)
    # Routes that never failed say nothing beside those that did; where none did, the flat lines say so.
    telling = tuple(line for line in lines if any(line.values))
    return (telling, hidden if len(telling) == len(lines) else 0) if telling else (lines, hidden)
