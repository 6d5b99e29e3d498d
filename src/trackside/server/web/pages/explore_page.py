"""Explore: a PromQL box, the answer as chart and table, and an error that points at the place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.series import Series, Text
from trackside.server.web import render
from trackside.server.web.ask import Answer, Question, ask
from trackside.server.web.chart import Chart, Line, lines_of, onto_grid
from trackside.server.web.console import Console
from trackside.server.web.figures import amount, exact
from trackside.server.web.period import Period
from trackside.server.web.verdict import Level

SERIES_IN_THE_CHART = 30
ROWS_IN_THE_TABLE = 500
NAMES_OFFERED = 3_000
SAMPLES_OF_A_SERIES = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: name and labels, and its numbers as text."""

    name: str
    labels: tuple[tuple[str, str], ...]
    cells: tuple[str, ...]
    line: int | None = None
    """Index of its line in the chart, for the colour; None when it is not drawn."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Mistake:
    """A query error, cut where it must be marked."""

    reason: str
    position: str
    before: str
    wrong: str
    after: str
    caret: str


@dataclass(frozen=True, slots=True)
class Starter:
    """A metric to begin with, and a first sensible question about it."""

    name: str
    expr: str
    link: str


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    expr = request.query_params.get("expr", "").strip()
    is_range = request.query_params.get("mode", "range") != "instant"
    names = await _metric_names(console, period)
    answer = await ask(console.backend, console.clock, period, Question(expr, is_range)) if expr else None
    chart, table = _shown(answer, period) if answer is not None else (None, None)
    facts = {
        "expr": expr,
        "is_range": is_range,
        "answer": answer,
        "chart": chart,
        "table": table,
        "series_count": _series_count(answer),
        "mistake": _mistake(answer.error, expr) if answer is not None and answer.error is not None else None,
        "names": names[:NAMES_OFFERED],
        "starters": [] if expr else _starters(names, period),
    }
    params = {"expr": expr, "mode": "" if is_range else "instant"}
    title = expr.replace("\n", " ")[:80] or "Explore"
    level = Level.WARN if answer is not None and answer.error is not None else Level.OK
    page = render.Page("explore.html", "explore", title, level, facts, params)
    return render.respond(request, console, period, page)


async def _metric_names(console: Console, period: Period) -> list[str]:
    try:
        return await console.backend.label_values(METRIC_NAME, [], period.start_ms, period.end_ms)
    except QueryError:
        # Completion is an aid; without it the box works as before, and the query below says what is wrong.
        return []


def _shown(answer: Answer, period: Period) -> tuple[Chart | None, Table | None]:
    if answer.result is None:
        return None, None
    value = answer.result.value
    if isinstance(value, Text):
        return None, Table(("text",), (Row("", (), (value.value,)),))
    if isinstance(value, tuple):
        return None, _samples_table(value)
    if answer.question.is_range and answer.matrix is not None:
        return _range(answer, period)
    rows = [_row(labels, (exact(number),)) for labels, number in answer.vector()]
    return None, Table(("value",), tuple(rows[:ROWS_IN_THE_TABLE]), max(0, len(rows) - ROWS_IN_THE_TABLE))


def _range(answer: Answer, period: Period) -> tuple[Chart, Table]:
    assert answer.matrix is not None
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    lines, hidden_rows = lines_of(grid, limit=ROWS_IN_THE_TABLE)
    drawn = lines[:SERIES_IN_THE_CHART]
    chart = Chart(
        "answer",
        "Answer",
        "amount",
        period.start_ms,
        period.end_ms,
        period.step_ms,
        drawn,
        hidden=hidden_rows + len(lines) - len(drawn),
    )
    labels_of = {str(labels): labels for labels in grid.labels}
    rows = [_range_row(labels_of[line.title], line, i if i < len(drawn) else None) for i, line in enumerate(lines)]
    return chart, Table(("last", "lowest", "mean", "highest"), tuple(rows), hidden_rows)


def _range_row(labels: Labels, line: Line, index: int | None) -> Row:
    known = [value for value in line.values if value is not None]
    if not known:
        return _row(labels, ("–",) * 4, index)
    cells = (line.last, min(known), sum(known) / len(known), max(known))
    return _row(labels, tuple(amount(cell) for cell in cells), index)


def _samples_table(series: Sequence[Series]) -> Table:
    """What `x[5m]` answers: the samples themselves."""
    rows: list[Row] = []
    for one in series[:ROWS_IN_THE_TABLE]:
        recent = zip(
            one.times_ms[-SAMPLES_OF_A_SERIES:].tolist(), one.values[-SAMPLES_OF_A_SERIES:].tolist(), strict=True
        )
        rows.append(_row(one.labels, (_samples(recent),)))
    return Table(("samples",), tuple(rows), max(0, len(series) - len(rows)))


def _samples(pairs: Iterable[tuple[int, float]]) -> str:
    return "\n".join(
        f"{exact(value)} @ {datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S}.{time_ms % 1000:03d} UTC"
        for time_ms, value in pairs
    )


def _row(labels: Labels, cells: tuple[str, ...], line: int | None = None) -> Row:
    return Row(labels.get(METRIC_NAME), labels.without(METRIC_NAME).pairs, cells, line)


def _series_count(answer: Answer | None) -> int:
    if answer is None or answer.result is None:
        return 0
    value = answer.result.value
    if isinstance(value, tuple):
        return len(value)
    return len(answer.matrix.labels) if answer.matrix is not None else 1


def _mistake(error: QueryError, expr: str) -> Mistake:
    if error.start is None or error.position is None:
        return Mistake(error.reason, "", "", "", "", "")
    line, column = error.position
    text = error.query or expr
    end = min(max(error.end or 0, error.start + 1), len(text))
    marked = error.marked().split("\n")
    # A mistake at the end of the text ("expected …, found the end") has nothing to underline but the place itself.
    wrong = text[error.start : end] or " "
    caret = marked[1] if len(marked) > 1 else ""
    where = f"line {line}, column {column}" if "\n" in text else f"column {column}"
    return Mistake(error.reason, where, text[: error.start], wrong, text[end:], caret)


def _starters(names: Sequence[str], period: Period) -> list[Starter]:
    known = frozenset(names)
    starters = []
    for name in names:
        base = name.removesuffix("_bucket")
        if name.endswith(("_sum", "_count", "_created")) and name.rsplit("_", 1)[0] + "_bucket" in known:
            continue
        starters.append(Starter(name, expr := _first_question(name, base, period.window), period.explore(expr)))
    return starters


def _first_question(name: str, base: str, window: str) -> str:
    if base != name:
        return f"histogram_quantile(0.95, sum by (le) (rate({name}[{window}])))"
    if name.endswith(("_total", "_count", "_sum")):
        return f"sum by (job) (rate({name}[{window}]))"
    return name
