"""The expression of a rule as a picture: what it measures, and the limit that it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import Binary, Expr, NumberLiteral, Paren, Unary
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.chart import HUES, Chart, Line, lines_of, onto_grid
from trackside.server.web.console import Console
from trackside.server.web.period import Period

COMPARISONS = frozenset((">", ">=", "<", "<=", "==", "!="))
MOST_LINES = 5
LIMIT_HUE = HUES + 1
"""Dashed, in a colour of its own."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An expression taken apart at its first comparison."""

    measured: str
    op: str = ""
    limit: str = ""
    """An expression; "" where nothing is compared."""
    limit_value: float | None = None
    """Where the limit is a number."""


def compared(expr: str) -> Compared:
    """`sum(a) / sum(b) > 0.05 and sum(b) > 1` measures `sum(a) / sum(b)`; what is no comparison measures itself."""
    try:
        found = _comparison(parse(expr))
    except QueryError:
        return Compared(expr)
    if found is None:
        return Compared(expr)
    left, right, op = found.left, found.right, found.op
    if _number(left) is not None and _number(right) is None:
        left, right = right, left
        op = op.translate(str.maketrans("<>", "><"))
    return Compared(_text(expr, left), op, _text(expr, right), _number(right))


async def chart_of(console: Console, query: str, alert: Alert | None, labels: Labels, period: Period) -> Chart:
    """Of one alert: only its own series, if they can be told apart."""
    parts = compared(query)
    questions = {"measured": Question(parts.measured, is_range=True)}
    if parts.limit and parts.limit_value is None:
        questions["limit"] = Question(parts.limit, is_range=True)
    answers = await ask_all(console.backend, console.clock, period, questions)
    lines, hidden = _lines(answers["measured"], labels, period)
    return Chart(
        "expression",
        parts.measured if len(parts.measured) <= 80 else "What the rule measures",
        unit_of(parts),
        period.start_ms,
        period.end_ms,
        period.step_ms,
        (*lines, *_limit_lines(parts, answers.get("limit"), labels, period)),
        period.explore(query),
        hidden,
        answers["measured"].reason,
        marks=_marks(alert),
    )


def _comparison(tree: Expr) -> Binary | None:
    """The first one from the left that is not inside a function or an aggregation."""
    match tree:
        case Paren(expr=inner):
            return _comparison(inner)
        case Binary(op=op) if op in COMPARISONS:
            return tree
        case Binary(op=op, left=left, right=right) if op in ("and", "or", "unless"):
            return _comparison(left) or _comparison(right)
    return None


def _number(tree: Expr) -> float | None:
    match tree:
        case NumberLiteral(value=value):
            return value
        case Paren(expr=inner):
            return _number(inner)
        case Unary(op=op, expr=inner):
            number = _number(inner)
            return None if number is None else -number if op == "-" else number
    return None


def _text(expr: str, tree: Expr) -> str:
    return expr[tree.span.start : tree.span.end]


def _lines(answer: Answer, labels: Labels, period: Period) -> tuple[tuple[Line, ...], int]:
    if answer.matrix is None:
        return (), 0
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    found, hidden = lines_of(grid, (), limit=1_000)
    own = _own({str(each): each for each in grid.labels}, labels)
    if own:
        found, hidden = tuple(line for line in found if line.title in own), 0
    return found[:MOST_LINES], hidden + max(0, len(found) - MOST_LINES)


def _own(series: dict[str, Labels], labels: Labels) -> frozenset[str]:
    """The series all of whose labels the alert has; () when none or each of them may be its own."""
    found = frozenset(
        text
        for text, each in series.items()
        if all(labels.get(name) == value for name, value in each if name != METRIC_NAME)
    )
    return found if len(found) < len(series) else frozenset()


def _limit_lines(parts: Compared, answer: Answer | None, labels: Labels, period: Period) -> Iterable[Line]:
    if parts.limit_value is not None and math.isfinite(parts.limit_value):
        points = (period.end_ms - period.start_ms) // period.step_ms + 1
        yield Line(f"limit: {parts.op} {parts.limit}", (parts.limit_value,) * points, hue=LIMIT_HUE)
    elif answer is not None:
        lines, _ = _lines(answer, labels, period)
        for line in lines[:1]:
            yield Line(f"limit: {parts.op} {parts.limit}", line.values, line.title, LIMIT_HUE)


def unit_of(parts: Compared) -> str:
    """What a share is measured in cannot be known; its limit below one and a division say it."""
    if parts.limit_value is not None and 0 < parts.limit_value <= 1 and "/" in parts.measured:
        return "share"
    return "seconds" if "_seconds" in parts.measured and "quantile" in parts.measured else "amount"


def _marks(alert: Alert | None) -> tuple[tuple[int, str], ...]:
    if alert is None:
        return ()
    moments = ((alert.active_at_ms, "pending"), (alert.fired_at_ms, "fires"))
    return tuple((at_ms, text) for at_ms, text in moments if at_ms is not None)
