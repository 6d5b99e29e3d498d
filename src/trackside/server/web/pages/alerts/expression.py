"""The expression of a rule as a picture: what it measures, and the limit that it is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import add, mul, sub

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import Binary, Expr, NumberLiteral, Paren, Unary
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.chart import HUES, Chart, Line, lines_of, onto_grid
from trackside.server.web.console import Console
from trackside.server.web.figures import amount, seconds, share
from trackside.server.web.period import Period

COMPARISONS = frozenset((">", ">=", "<", "<=", "==", "!="))
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {"+": add, "-": sub, "*": mul}
"""Not division, which may be by zero."""
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


@lru_cache(maxsize=1_024)
def compared(expr: str) -> Compared:
    """`sum(a) / sum(b) > 0.05 and sum(b) > 1` measures `sum(a) / sum(b)`; what is no comparison measures itself."""
    try:
        found = _comparison(parse(expr))
    except QueryError:
        return Compared(expr)
    if found is None:
        return Compared(expr)
    left, right, op = found.left, found.right, found.op
    if number_of(left) is not None and number_of(right) is None:
        left, right = right, left
        op = op.translate(str.maketrans("<>", "><"))
    return Compared(_text(expr, left), op, _text(expr, right), number_of(right))


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


def number_of(tree: Expr) -> float | None:
    """What an expression comes to that is nothing but numbers, such as `14 * 86400`."""
    match tree:
        case NumberLiteral(value=value):
            return value
        case Paren(expr=inner):
            return number_of(inner)
        case Unary(op=op, expr=inner):
            number = number_of(inner)
            return None if number is None else -number if op == "-" else number
        case Binary(op=op, left=left, right=right) if op in _ARITHMETIC:
            one, other = number_of(left), number_of(right)
            return None if one is None or other is None else _ARITHMETIC[op](one, other)
    return None


def _text(expr: str, tree: Expr) -> str:
    return expr[tree.span.start : tree.span.end]


def _lines(answer: Answer, labels: Labels, period: Period) -> tuple[tuple[Line, ...], int]:
    if answer.matrix is None:
        return (), 0
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    found, hidden = lines_of(grid, (), limit=1_000)
    found = tuple(replace(line, name="measured") if line.name == "{}" else line for line in found)
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


def written(value: float, parts: Compared) -> str:
    """In the unit of what is measured."""
    return {"share": share, "seconds": seconds}.get(unit_of(parts), amount)(value)


def limit_text(parts: Compared) -> str:
    """ "> 5 %"; "" where the limit is no number."""
    return "" if parts.limit_value is None else f"{parts.op} {written(parts.limit_value, parts)}"


def _marks(alert: Alert | None) -> tuple[tuple[int, str], ...]:
    if alert is None:
        return ()
    fired_ms = alert.fired_at_ms
    fires = ((fired_ms, "firing"),) if fired_ms is not None else ()
    return fires if fired_ms == alert.active_at_ms else ((alert.active_at_ms, "pending"), *fires)
