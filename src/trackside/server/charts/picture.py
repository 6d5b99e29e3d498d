"""The chart as a PNG, for mails and chats: a line, its limit, and when it was beyond it. Pure.

No text of an alert is drawn, only numbers and times: whatever a label says cannot break the picture, and whoever sees
one learns nothing but a curve.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trackside.server.charts.course import Course, clock_time, figure, moment

WIDTH, HEIGHT = 480, 120
"""As it is shown. Drawn with twice as many dots, for displays that have them."""
SCALE = 2
FINER = 2
"""Drawn larger still and made smaller, since the library's lines have hard edges."""
MAX_BYTES = 64 << 10
COLOURS = 48

# A ground of its own: half of the readers have a dark window, and no line colour reads well on both.
GROUND, EDGE, GRID = "#ffffff", "#d0d7de", "#e6e9ed"
INK, LINE, LIMIT, FIRED = "#4b535d", "#0b63ce", "#b3261e", "#fbe1de"
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 9, 22
"""Margins, in dots as shown."""
TICK_MS = 900_000
Y_TICKS = 3


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values and times are, in dots as shown."""

    low: float
    high: float
    start_ms: int
    end_ms: int

    def x(self, time_ms: float) -> float:
        share = (time_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def png(course: Course) -> bytes:
    """b"" when there is no line to draw: fewer than two values, or values beyond what can be scaled."""
    frame = _frame(course)
    if frame is None:
        return b""
    ticks = _ticks(frame)
    size = SCALE * FINER
    image = Image.new("RGB", (WIDTH * size, HEIGHT * size), GROUND)
    _draw_shapes(ImageDraw.Draw(image), course, frame, ticks, size)
    image = image.reduce(FINER)
    _draw_texts(ImageDraw.Draw(image), course, frame, ticks)
    file = io.BytesIO()
    # The quick ways: the best ones make it a tenth smaller, and take five times as long.
    image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(file, "PNG")
    made = file.getvalue()
    return made if len(made) <= MAX_BYTES else b""


def _frame(course: Course) -> _Frame | None:
    finite = course.finite
    if len(finite) < 2:
        return None
    shown = finite if course.limit is None else np.append(finite, course.limit)
    low, high = float(shown.min()), float(shown.max())
    if not math.isfinite(high - low) or max(abs(low), abs(high)) > 1e300:
        return None
    if 0 < low < high / 2:
        # Bars and lines that begin at zero do not exaggerate; where all values are close, one would see nothing.
        low = 0.0
    room = (high - low) or abs(high) or 1.0
    return _Frame(low if low == 0 else low - room * 0.08, high + room * 0.1, course.start_ms, course.end_ms)


def _ticks(frame: _Frame) -> list[float]:
    """Round values, some three of them."""
    rough = (frame.high - frame.low) / Y_TICKS
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= rough), 10 * power)
    first = math.ceil(frame.low / step)
    found = [number * step for number in range(first, first + 2 * Y_TICKS + 2)] if step > 0 else []
    return [value for value in found if frame.low <= value <= frame.high]


def _draw_shapes(draw: ImageDraw.ImageDraw, course: Course, frame: _Frame, ticks: list[float], size: int) -> None:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    over_ms = course.end_ms if course.over_ms is None else course.over_ms
    if over_ms > course.start_ms and course.fired_ms <= course.end_ms:
        # One minute of it must still be seen.
        begin = min(frame.x(course.fired_ms), right - 3)
        draw.rectangle([begin * size, TOP * size, max(frame.x(over_ms), begin + 3) * size, bottom * size], FIRED)
    for value in ticks:
        y = frame.y(value) * size
        draw.line([LEFT * size, y, right * size, y], GRID, size)
    for run in _runs(course, frame):
        if len(run) == 1:
            _dot(draw, run[0], 1.2, size)
        else:
            draw.line([(x * size, y * size) for x, y in run], LINE, 2 * size, joint="curve")
    if course.limit is not None:
        y = frame.y(course.limit) * size
        for x in range(LEFT, right, 7):
            draw.line([x * size, y, min(x + 4, right) * size, y], LIMIT, round(1.2 * size))
    last = [run for run in _runs(course, frame) if run]
    if last and course.over_ms is None:
        _dot(draw, last[-1][-1], 3.2, size)
    draw.rectangle([0, 0, WIDTH * size - 1, HEIGHT * size - 1], outline=EDGE, width=size)


def _runs(course: Course, frame: _Frame) -> Iterator[list[tuple[float, float]]]:
    """Points without a gap between them."""
    run: list[tuple[float, float]] = []
    for index, value in enumerate(course.values):
        if math.isfinite(value):
            run.append((frame.x(course.start_ms + index * course.step_ms), frame.y(float(value))))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _dot(draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, size: int) -> None:
    x, y = at
    draw.ellipse([(x - radius) * size, (y - radius) * size, (x + radius) * size, (y + radius) * size], LINE)


def _draw_texts(draw: ImageDraw.ImageDraw, course: Course, frame: _Frame, ticks: list[float]) -> None:
    # Made anew each time: the library's fonts must not be used by two threads at once.
    font = ImageFont.load_default(11 * SCALE)
    limit_y = None if course.limit is None else frame.y(course.limit)
    for value in ticks:
        y = frame.y(value)
        if limit_y is None or abs(y - limit_y) > 9:
            draw.text(((LEFT - 6) * SCALE, y * SCALE), figure(value), INK, font, anchor="rm")
    if course.limit is not None and limit_y is not None:
        draw.text(((LEFT - 6) * SCALE, limit_y * SCALE), figure(course.limit), LIMIT, font, anchor="rm")
    y = (HEIGHT - BOTTOM + 5) * SCALE
    draw.text(((WIDTH - RIGHT) * SCALE, y), moment(course.end_ms), INK, font, anchor="ra")
    # The last label says the zone, and needs its room.
    time_ms = -(-course.start_ms // TICK_MS) * TICK_MS
    while frame.x(time_ms) < WIDTH - RIGHT - 85 and time_ms < course.end_ms:
        if frame.x(time_ms) >= LEFT + 12:
            draw.text((frame.x(time_ms) * SCALE, y), clock_time(time_ms), INK, font, anchor="ma")
        time_ms += TICK_MS
