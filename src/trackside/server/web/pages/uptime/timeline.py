"""From the changes of a check to the picture of a period: spans, bars, shares and downs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from trackside.server.probes.state import Condition
from trackside.server.probes.store import Change
from trackside.server.web.figures import age, availability
from trackside.server.web.verdict import Level

BARS = 60
LEVELS: Mapping[Condition, Level] = {
    Condition.UP: Level.OK,
    Condition.DOWN: Level.BAD,
    Condition.FLAPPING: Level.WARN,
    Condition.MAINTENANCE: Level.UNKNOWN,
    Condition.UNKNOWN: Level.UNKNOWN,
}
# What of a bar is drawn, worst first: the one that nobody may overlook.
_WORST = (Condition.DOWN, Condition.FLAPPING, Condition.MAINTENANCE, Condition.UP, Condition.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Span:
    condition: Condition
    start_ms: int
    end_ms: int
    change: Change | None = None

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Bar:
    """One of the equal parts of a period."""

    condition: Condition
    """The worst within it."""


@dataclass(frozen=True, slots=True)
class Down:
    start_ms: int
    end_ms: int | None
    """None: it goes on."""
    length_ms: int
    condition: Condition
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Timeline:
    bars: tuple[Bar, ...]
    up_share: float | None
    """Of the time in which it was known and expected; None where there was none."""
    down_ms: int
    downs: tuple[Down, ...]
    """Latest first; also those that began before the period and reached into it."""

    @property
    def runs(self) -> list[tuple[Condition, int, int]]:
        """Condition, index and number of bars that are alike: seven hundred checks have few of them each."""
        runs: list[tuple[Condition, int, int]] = []
        for condition, alike in groupby(bar.condition for bar in self.bars):
            first = runs[-1][1] + runs[-1][2] if runs else 0
            runs.append((condition, first, len(list(alike))))
        return runs

    @property
    def sentence(self) -> str:
        """The picture in words."""
        if self.up_share is None:
            return "nothing is known of this period"
        down = f", down for {age(self.down_ms)}" if self.down_ms else ""
        return f"{availability(self.up_share)} up{down}"


def timeline(changes: Sequence[Change], start_ms: int, end_ms: int, count: int = BARS) -> Timeline:
    """`changes` as kept: oldest first, the first one perhaps from before the period."""
    spans = spans_of(changes, start_ms, end_ms)
    down_ms = sum(span.length_ms for span in spans if span.condition in (Condition.DOWN, Condition.FLAPPING))
    up_ms = sum(span.length_ms for span in spans if span.condition is Condition.UP)
    return Timeline(
        tuple(_bars(spans, start_ms, end_ms, count)),
        up_ms / (up_ms + down_ms) if up_ms + down_ms else None,
        down_ms,
        tuple(reversed(_downs(changes, start_ms, end_ms))),
    )


def spans_of(changes: Sequence[Change], start_ms: int, end_ms: int) -> list[Span]:
    """The period without gaps; unknown before the first change."""
    spans: list[Span] = []
    at_ms, condition, last = start_ms, Condition.UNKNOWN, None
    for change in changes:
        until_ms = min(max(change.at_ms, start_ms), end_ms)
        if until_ms > at_ms:
            spans.append(Span(condition, at_ms, until_ms, last))
            at_ms = until_ms
        condition, last = change.condition, change
    if end_ms > at_ms:
        spans.append(Span(condition, at_ms, end_ms, last))
    return spans


def _bars(spans: Sequence[Span], start_ms: int, end_ms: int, count: int) -> list[Bar]:
    length_ms = max(1, (end_ms - start_ms) / count)
    bars = []
    first = 0
    for index in range(count):
        left_ms, right_ms = start_ms + index * length_ms, start_ms + (index + 1) * length_ms
        while first < len(spans) and spans[first].end_ms <= left_ms:
            first += 1
        inside: dict[Condition, float] = {}
        for span in spans[first:]:
            if span.start_ms >= right_ms:
                break
            covered_ms = min(span.end_ms, right_ms) - max(span.start_ms, left_ms)
            inside[span.condition] = inside.get(span.condition, 0.0) + covered_ms
        worst = next((one for one in _WORST if inside.get(one)), Condition.UNKNOWN)
        bars.append(Bar(worst))
    return bars


def _downs(changes: Sequence[Change], start_ms: int, end_ms: int) -> list[Down]:
    """What lies between is one down, whether it flapped meanwhile or not."""
    downs: list[Down] = []
    begun: Change | None = None
    worst = Condition.FLAPPING
    for change in changes:
        if change.condition in (Condition.DOWN, Condition.FLAPPING):
            begun = begun or change
            worst = Condition.DOWN if change.condition is Condition.DOWN else worst
        elif begun is not None:
            downs.append(_down(begun, worst, change.at_ms, end_ms))
            begun, worst = None, Condition.FLAPPING
    if begun is not None:
        downs.append(_down(begun, worst, None, end_ms))
    return [down for down in downs if down.start_ms < end_ms and (down.end_ms is None or down.end_ms > start_ms)]


def _down(begun: Change, worst: Condition, ended_ms: int | None, now_ms: int) -> Down:
    length_ms = max(0, (now_ms if ended_ms is None else ended_ms) - begun.at_ms)
    return Down(begun.at_ms, ended_ms, length_ms, worst, begun.reason, begun.error)
