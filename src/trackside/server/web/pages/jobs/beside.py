"""Lines that the ledger cannot draw, from this server's own series: what came in, and how long the oldest waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from trackside.model.labels import quoted
from trackside.server.web.ask import Question, ask
from trackside.server.web.chart import Chart, Line, onto_grid
from trackside.server.web.console import Console
from trackside.server.web.pages.jobs.choice import Choice, Tab
from trackside.server.web.pages.jobs.picture import DASHED, Grid, grid_of
from trackside.server.web.period import Period

_LIVE = 'state=~"queued|running|scheduled|retrying|blocked"'
_ENDED = ("succeeded", "failed", "cancelled", "lost")

Values = tuple[float | None, ...]


async def beside(console: Console, period: Period, choice: Choice) -> Values:
    """One value a bucket, as of its end; none where the series are not there, or cannot tell kinds apart."""
    grid = grid_of(period)
    if choice.tab in (Tab.RUN, Tab.COST) or choice.kind or (choice.backend and not choice.source):
        return ()
    named = (("source", choice.source), ("queue", choice.queue))
    matchers = [f'{name}="{quoted(value)}"' for name, value in named if value]
    if choice.tab is Tab.FLOW:
        expr = f"sum(trackside_queue_jobs{{{', '.join([_LIVE, *matchers])}}})"
    else:
        expr = f"max(trackside_queue_oldest_seconds{{{', '.join(matchers)}}})"
    answer = await ask(console.backend, console.clock, _ends(period, grid), Question(expr, is_range=True))
    if answer.matrix is None or len(answer.matrix.labels) == 0:
        return ()
    ends_ms = (grid.start_ms, grid.end_ms + grid.step_ms)
    matrix = onto_grid(answer.matrix, *ends_ms, grid.step_ms)
    return tuple(
        value if there else None
        for value, there in zip(matrix.values[0].tolist(), matrix.present[0].tolist(), strict=True)
    )


def with_lines(chart: Chart, values: Values, tab: Tab) -> Chart:
    if len(values) != chart.points + 1:
        return chart
    if tab is Tab.FLOW:
        came = _came(chart.lines, values)
        line = Line("came in", came, "What came in, as far as the queues' lengths tell", DASHED, apart=True)
    else:
        line = Line("oldest waits", tuple(_short(value) for value in values[1:]), hue=DASHED + 1)
    return replace(chart, lines=(*chart.lines, line)) if line.last is not None else chart


def _came(lines: Sequence[Line], live: Values) -> Values:
    """What ended for good, and by how much the rest grew."""
    ended = [line.values for line in lines if line.name in _ENDED]
    found: list[float | None] = []
    for at, (before, now) in enumerate(pairwise(live)):
        went = sum(values[at] or 0.0 for values in ended)
        found.append(None if before is None or now is None else _short(max(0.0, went + now - before)))
    return tuple(found)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _ends(period: Period, grid: Grid) -> Period:
    return replace(period, start_ms=grid.start_ms, end_ms=grid.end_ms + grid.step_ms, step_ms=grid.step_ms)
