"""A small chart that any receiver can show: how the value of an alert went in the hour before, in one line of text."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs, urlsplit

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, Notification
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.backend import MetricsBackend
from trackside.server.promql.format import format as formatted
from trackside.server.promql.parser import parse
from trackside.server.promql.signatures import COMPARISONS
from trackside.server.promql.syntax import Binary, Expr, NumberLiteral, Paren
from trackside.server.series import Matrix

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
POINTS, STEP_MS = 30, 120_000
MAX_ALERTS = 20
"""Of a notification; nobody reads more of them."""
MAX_QUERIES = 5
TIMEOUT_MS = 2_000

Trends = tuple[tuple[Labels, str], ...]
"""By the labels of the alert."""
TrendsOf = Callable[[Notification], Awaitable[Trends]]


class TrendReader:
    def __init__(self, backend: MetricsBackend, now_ms: Callable[[], int]) -> None:
        self._backend = backend
        self._now_ms = now_ms

    async def of(self, notification: Notification) -> Trends:
        """Those of the first alerts. A message must not wait for a chart, nor fail for it: what cannot be had is left
        out."""
        found: list[tuple[Labels, str]] = []
        answers: dict[str, Matrix | None] = {}
        for alert in notification.alerts[:MAX_ALERTS]:
            expr = measured(expression(alert))
            if not expr or (expr not in answers and len(answers) >= MAX_QUERIES):
                continue
            if expr not in answers:
                answers[expr] = await self._asked(expr)
            line = drawn(values_of(answers[expr], alert.labels))
            if line:
                found.append((alert.labels, line))
        return tuple(found)

    async def _asked(self, expr: str) -> Matrix | None:
        end_ms = self._now_ms()
        start_ms = end_ms - (POINTS - 1) * STEP_MS
        try:
            result = await self._backend.query_range(expr, start_ms, end_ms, STEP_MS, TIMEOUT_MS)
        except (QueryError, OSError):
            return None
        return result.value if isinstance(result.value, Matrix) else None


def expression(alert: Alert) -> str:
    """Of the rule, as the link to Explore has it; "" for what another server's rule says."""
    try:
        asked = parse_qs(urlsplit(alert.generator_url).query)
    except ValueError:
        return ""
    return next((asked[name][0] for name in ("g0.expr", "expr", "query") if name in asked), "")


def measured(expr: str) -> str:
    """What a rule compares with its limit: the left side of `… > 5`. "" for what is no expression."""
    try:
        tree = parse(expr)
    except QueryError:
        return ""
    return formatted(_side(tree))


def _side(tree: Expr) -> Expr:
    match tree:
        case Paren(expr=inner):
            return _side(inner)
        case Binary(op="and" | "unless", left=left):
            return _side(left)
        case Binary(op=op, left=left, right=right) if op in COMPARISONS:
            return right if isinstance(left, NumberLiteral) else left
    return tree


def values_of(answer: Matrix | None, labels: Labels) -> Sequence[float]:
    """Those of the series that the alert came from; NaN where there is none. () when it cannot be told which."""
    if answer is None:
        return ()
    pairs = set(labels.pairs)
    fitting = [
        row
        for row, series in enumerate(answer.labels)
        if {pair for pair in series.pairs if pair[0] != METRIC_NAME} <= pairs
    ]
    if len(fitting) != 1:
        return ()
    values, present = answer.values[fitting[0]], answer.present[fitting[0]]
    at = {int(time_ms): index for index, time_ms in enumerate(answer.steps_ms)}
    last_ms = max(at, default=0)
    steps = [last_ms - back * STEP_MS for back in range(POINTS - 1, -1, -1)]
    return [float(values[at[step]]) if step in at and present[at[step]] else math.nan for step in steps]


def drawn(values: Sequence[float]) -> str:
    """One bar for each value, from the lowest to the highest; "" for fewer than two."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    room = high - low
    bars = [
        GAP
        if not math.isfinite(value)
        else BARS[0]
        if room == 0
        else BARS[min(len(BARS) - 1, int((value - low) / room * len(BARS)))]
        for value in values
    ]
    return f"{''.join(bars).strip()} {low:.3g} to {high:.3g}" if room else f"{''.join(bars).strip()} {low:.3g}"
