"""How the value of an alert went in the hour before: asked for once, for the small charts of a notification."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import parse_qs, urlsplit

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.backend import MetricsBackend
from trackside.server.charts.course import Course
from trackside.server.charts.measure import measure
from trackside.server.series import Float64s, Matrix

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
POINTS, STEP_MS = 61, 60_000
EVERY = 2
"""In a line of text each second value has room."""
MAX_ALERTS = 20
"""Of a notification; nobody reads more of them."""
MAX_QUERIES = 5
TIMEOUT_MS = 1_000


class TrendReader:
    def __init__(self, backend: MetricsBackend, now_ms: Callable[[], int]) -> None:
        self._backend = backend
        self._now_ms = now_ms

    async def of(self, notification: Notification) -> AsyncIterator[tuple[Alert, Course]]:
        """Those of the first alerts, each as soon as it is there; what cannot be had is left out."""
        answers: dict[str, Matrix | None] = {}
        end_ms = self._now_ms()
        for alert in notification.alerts[:MAX_ALERTS]:
            measured = measure(expression(alert))
            expr = measured.expr
            if not expr or (expr not in answers and len(answers) >= MAX_QUERIES):
                continue
            if expr not in answers:
                answers[expr] = await self._asked(expr, end_ms)
            values = values_of(answers[expr], alert.labels, end_ms)
            if np.isfinite(values).sum() >= 2:
                over_ms = alert.resolved_at_ms if alert.state is AlertState.RESOLVED else None
                start_ms = end_ms - (POINTS - 1) * STEP_MS
                yield alert, Course(values, start_ms, STEP_MS, alert.started_ms, over_ms, measured.limit)

    async def _asked(self, expr: str, end_ms: int) -> Matrix | None:
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


def values_of(answer: Matrix | None, labels: Labels, end_ms: int) -> Float64s:
    """Shape (POINTS,): those of the series that the alert came from; NaN where there is none. All of them are when it
    cannot be told which."""
    found = np.full(POINTS, math.nan)
    if answer is None:
        return found
    pairs = set(labels.pairs)
    fitting = [
        row
        for row, series in enumerate(answer.labels)
        if {pair for pair in series.pairs if pair[0] != METRIC_NAME} <= pairs
    ]
    if len(fitting) != 1:
        return found
    values, present = answer.values[fitting[0]], answer.present[fitting[0]]
    places = POINTS - 1 - (end_ms - answer.steps_ms) // STEP_MS
    known = present & (places >= 0) & (places < POINTS)
    found[places[known]] = values[known]
    return found


def line(course: Course) -> str:
    """The course in one line of text."""
    return drawn([float(value) for value in course.values[-1::-EVERY][::-1]])


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
