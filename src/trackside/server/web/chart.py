"""A chart as the page carries it: the numbers for uPlot, and the same picture in SVG for before it runs, or without."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from trackside.model.labels import Labels
from trackside.server.series import Float64s, Matrix
from trackside.server.web.figures import FORMATS

HUES = 8
"""Colours of the palette; past them lines repeat the colours, dashed."""
DASHES = 4

LOG_FLOOR = 0.001
"""A millisecond, on the axes that there are."""
_WIDTH, _HEIGHT = 600, 160
# The SVG is a preview: a hundred points a line look the same at its size and halve what a first page weighs.
_PREVIEW_POINTS = 120


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    values: tuple[float | None, ...]
    """One per step; None where there is no sample, or none that can be drawn."""
    title: str = ""
    """The labels in full, when `name` is shorter."""
    hue: int = 0
    """Which colour: counts up, so that a name keeps its colour in every chart of a page."""
    apart: bool = False
    """Whether it stands on its own where the others are stacked."""

    @property
    def look(self) -> str:
        """Class names of the line in SVG and legend."""
        return f"hue{self.hue % HUES} dash{self.hue // HUES % DASHES}"

    @property
    def last(self) -> float | None:
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True, slots=True)
class Chart:
    chart_id: str
    title: str
    unit: str
    """A key of `FORMATS`."""
    start_ms: int
    end_ms: int
    step_ms: int
    lines: tuple[Line, ...]
    href: str = ""
    hidden: int = 0
    """Lines left out."""
    error: str = ""
    stretched: bool = False
    """Whether the y axis fits the values, instead of starting at zero."""
    stacked: bool = False
    """Whether lines stand upon each other: the first on top."""
    joined: bool = False
    """Whether a line goes on over steps at which it has no value."""
    is_log: bool = False
    """Of the y axis; what is below `LOG_FLOOR` is drawn there."""
    unfinished_ms: int | None = None
    """From then on the numbers are not final."""
    marks: tuple[tuple[int, str], ...] = ()
    """Moments with their names: deploys."""

    @property
    def points(self) -> int:
        return (self.end_ms - self.start_ms) // self.step_ms + 1

    @property
    def is_empty(self) -> bool:
        return not any(line.last is not None for line in self.lines)

    def text(self, value: float | None) -> str:
        return FORMATS[self.unit](value)

    def data(self) -> Markup:
        """JSON that is safe inside an element."""
        document = {
            "start": self.start_ms // 1000,
            "step": self.step_ms / 1000,
            "points": self.points,
            "unit": self.unit,
            "stretched": self.stretched,
            "title": self.title,
            "lines": [_line_data(line) for line in self.lines],
            **self._more(),
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
        return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))

    def _more(self) -> dict[str, object]:
        """What most charts do not have."""
        flags = {"stacked": self.stacked, "joined": self.joined, "log": self.is_log}
        more: dict[str, object] = {name: True for name, is_set in flags.items() if is_set}
        if self.unfinished_ms is not None:
            more["unfinished"] = self.unfinished_ms / 1000
        if self.marks:
            more["marks"] = [[at_ms / 1000, text] for at_ms, text in self.marks]
        return more

    def svg(self) -> Markup:
        """Decorative: the figure's legend says the same in words."""
        low, high = self.bounds()
        scale = _Scale(low, high, self.is_log, self.joined)
        paths = [
            Markup('<path class="line {}" d="{}"/>').format(line.look, path)
            for line, values in zip(self.lines, self.drawn_values(), strict=True)
            if (path := _path(values, scale))
        ]
        marks = [
            Markup('<path class="grid" d="M0 {0}H{1}"/>').format(round(_HEIGHT * share), _WIDTH)
            for share in (0.25, 0.5, 0.75, 1)
        ]
        marks += self._moments()
        return Markup(
            '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}{}</svg>'
        ).format(_WIDTH, _HEIGHT, Markup("").join(marks), Markup("").join(paths))

    def _moments(self) -> list[Markup]:
        def x(at_ms: int) -> int:
            return round(_WIDTH * (at_ms - self.start_ms) / max(1, self.end_ms - self.start_ms))

        drawn = [
            Markup('<path class="mark" d="M{} 0V{}"/>').format(x(at_ms), _HEIGHT)
            for at_ms, _ in self.marks
            if self.start_ms <= at_ms <= self.end_ms
        ]
        if self.unfinished_ms is not None:
            left = x(self.unfinished_ms - self.step_ms)
            drawn.append(
                Markup('<rect class="unfinished" x="{}" width="{}" height="{}"/>').format(left, _WIDTH - left, _HEIGHT)
            )
        return drawn

    def drawn_values(self) -> list[tuple[float | None, ...]]:
        """Of each line, where it is drawn."""
        if not self.stacked:
            return [line.values for line in self.lines]
        heights, below = list[tuple[float | None, ...]](), [0.0] * self.points
        for line in reversed(self.lines):
            if line.apart:
                heights.insert(0, line.values)
                continue
            below = [height + (value or 0.0) for height, value in zip(below, line.values, strict=True)]
            heights.insert(0, tuple(below))
        return heights

    def bounds(self) -> tuple[float, float]:
        drawn = [value for values in self.drawn_values() for value in values if value is not None]
        if not drawn:
            return (LOG_FLOOR, 1.0) if self.is_log else (0.0, 1.0)
        if self.is_log:
            low = max(LOG_FLOOR, min(drawn))
            return low, max(low * 10, *drawn, LOG_FLOOR)
        low = min(drawn) if self.stretched else min(0.0, *drawn, 0.0)
        high = max(drawn)
        return (low, high) if high > low else (low - 0.5 if self.stretched else low, low + 1)

    @property
    def top_text(self) -> str:
        return self.text(self.bounds()[1])


def lines_of(matrix: Matrix, names: Sequence[str] = (), *, limit: int) -> tuple[tuple[Line, ...], int]:
    """The `limit` lines that are highest on average, highest first, and how many were left out.

    A line is named by the values of `names`, or by its whole label set.
    """
    if len(matrix.labels) == 0:
        return (), 0
    present = matrix.present & np.isfinite(matrix.values)
    sums = np.where(present, matrix.values, 0.0).sum(axis=1)
    counts = present.sum(axis=1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    order = np.argsort(-means, kind="stable")[:limit]
    lines = tuple(
        Line(line_name(matrix.labels[i], names), _drawn(matrix.values[i], present[i]), str(matrix.labels[i]), hue)
        for hue, i in enumerate(order.tolist())
    )
    return lines, len(matrix.labels) - len(lines)


def line_name(labels: Labels, names: Sequence[str]) -> str:
    if not names:
        return str(labels) or "{}"
    return " ".join(value for name in names if (value := labels.get(name))) or "all"


def same_hues(charts: Sequence[Chart]) -> tuple[Chart, ...]:
    """The charts, with one colour for each name in all of them: that of its first appearance."""
    hues: dict[str, int] = {}
    for chart in charts:
        for line in chart.lines:
            hues.setdefault(line.name, len(hues))
    return tuple(
        replace(chart, lines=tuple(replace(line, hue=hues[line.name]) for line in chart.lines)) for chart in charts
    )


def onto_grid(matrix: Matrix, start_ms: int, end_ms: int, step_ms: int) -> Matrix:
    """`matrix` on every step of the period: some backends leave steps out at which nothing is present."""
    steps_ms = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
    if np.array_equal(matrix.steps_ms, steps_ms):
        return matrix
    at = np.searchsorted(steps_ms, matrix.steps_ms)
    known = (at < len(steps_ms)) & (steps_ms[np.minimum(at, len(steps_ms) - 1)] == matrix.steps_ms)
    shape = (len(matrix.labels), len(steps_ms))
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    values[:, at[known]] = matrix.values[:, known]
    present[:, at[known]] = matrix.present[:, known]
    return Matrix(matrix.labels, steps_ms, values, present)


def _line_data(line: Line) -> dict[str, object]:
    data: dict[str, object] = {"name": line.name, "hue": line.hue, "values": line.values}
    return {**data, "apart": True} if line.apart else data


def _drawn(values: Float64s, present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[float | None, ...]:
    # Four digits are a tenth of a pixel; more would double the page for nothing.
    return tuple(
        float(f"{value:.4g}") if there else None for value, there in zip(values.tolist(), present.tolist(), strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    is_log: bool
    joined: bool

    def y(self, value: float) -> float:
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return (_HEIGHT - 2) * (1 - share) + 1


def _path(values: Sequence[float | None], scale: _Scale) -> str:
    stride = max(1, math.ceil(len(values) / _PREVIEW_POINTS))
    step_x = _WIDTH / max(1, len(values) - 1)
    parts: list[str] = []
    pen_down = False
    for i in range(0, len(values), stride):
        value = values[i]
        if value is None:
            pen_down = pen_down and scale.joined
            continue
        parts.append(f"{'L' if pen_down else 'M'}{i * step_x:.0f} {scale.y(value):.0f}")
        pen_down = True
    return "".join(parts)
