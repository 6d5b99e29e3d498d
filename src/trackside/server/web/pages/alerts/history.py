"""When alerts were pending and firing, read from the ALERTS series that rules write; and the strips that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trackside.model.durations import format_duration
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.matchers import Matcher
from trackside.server.alerting.matchers import matches
from trackside.server.promql.quoting import quoted
from trackside.server.series import Matrix
from trackside.server.web.ask import Question, ask
from trackside.server.web.chart import onto_grid
from trackside.server.web.console import Console
from trackside.server.web.period import Period, step_for
from trackside.server.web.verdict import Level, fingerprint

DAY_MS = 86_400_000
WIDTH = 1_000
MOST = 40
_LEAST = 4
"""Of the strip's thousand: what is shorter could not be seen."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which an alert was in one state, as fine as the steps are."""

    start_ms: int
    end_ms: int
    fires: bool

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Life:
    """What an alert did in a period."""

    labels: Labels
    spells: tuple[Spell, ...]
    """In order, without overlap."""
    start_ms: int
    end_ms: int
    goes_on: bool = False
    """Whether it was there at the end of the period."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname")

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)

    @property
    def firing(self) -> tuple[Spell, ...]:
        return tuple(spell for spell in self.spells if spell.fires)

    @property
    def firing_ms(self) -> int:
        return sum(spell.length_ms for spell in self.firing)

    @property
    def level(self) -> Level:
        """Of what it is at the end."""
        if not self.goes_on:
            return Level.OK
        return Level.BAD if self.spells[-1].fires else Level.UNKNOWN

    def place(self, spell: Spell) -> tuple[int, int]:
        """Left edge and width on a strip that is `WIDTH` wide."""
        whole_ms = max(1, self.end_ms - self.start_ms)
        left = round(WIDTH * (spell.start_ms - self.start_ms) / whole_ms)
        width = max(_LEAST, round(WIDTH * spell.length_ms / whole_ms))
        return min(left, WIDTH - _LEAST), width


@dataclass(frozen=True, slots=True)
class History:
    lives: tuple[Life, ...]
    """Those that go on first, then the latest."""
    hidden: int
    start_ms: int
    end_ms: int
    failure: str = ""


def at_least_a_day(period: Period) -> Period:
    """What was an hour ago is not yet history; a range that somebody has drawn stays as it is.

    Up to the end of the step that is going on: what began a minute ago is in it.
    """
    if period.is_fixed:
        return period
    span_ms = max(DAY_MS, period.end_ms - period.start_ms)
    step_ms = step_for(span_ms)
    end_ms = -(-period.now_ms // step_ms) * step_ms
    return replace(period, start_ms=end_ms - span_ms // step_ms * step_ms, end_ms=end_ms, step_ms=step_ms)


async def history(
    console: Console, period: Period, matchers: Sequence[Matcher] = (), only: Labels | None = None
) -> History:
    """`only`: of the alert with these labels."""
    selector = "ALERTS" if only is None else "ALERTS{" + ",".join(f"{n}={quoted(v)}" for n, v in only) + "}"
    # The highest of each step, or an alert shorter than one would be missed.
    expr = f"max_over_time({selector}[{format_duration(period.step_ms)}])"
    answer = await ask(console.backend, console.clock, period, Question(expr, is_range=True))
    until_ms = min(period.end_ms, period.now_ms)
    if answer.matrix is None:
        return History((), 0, period.start_ms, until_ms, answer.reason)
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    lives = lives_of(grid, period.now_ms, _ended(console) if period.end_ms >= period.now_ms else _nobody_knows)
    kept = [life for life in lives if matches(matchers, life.labels) and only in (None, life.labels)]
    return History(tuple(kept[:MOST]), max(0, len(kept) - MOST), period.start_ms, until_ms)


def _ended(console: Console) -> Callable[[Labels], bool]:
    """Whether an alert is over: a step tells only that it was there at some time within it. What rules elsewhere raise
    is not known here."""
    rules = [rule for group in console.rule_groups() for rule in group.rules]
    names, there = {rule.name for rule in rules}, {alert.labels for rule in rules for alert in rule.alerts}
    return lambda labels: labels.get("alertname") in names and labels not in there


def _nobody_knows(labels: Labels) -> bool:
    return False


def lives_of(matrix: Matrix, now_ms: int, ended: Callable[[Labels], bool] = _nobody_knows) -> list[Life]:
    """From both states' series of each alert; those that go on first, then the latest. Nothing lasts beyond now.

    `ended`: whether one is known to be over.
    """
    states: dict[Labels, dict[str, Sequence[bool]]] = {}
    there = matrix.present & (matrix.values > 0)
    for labels, present in zip(matrix.labels, there.tolist(), strict=True):
        state = labels.get("alertstate")
        if labels.get("alertname") and state in ("pending", "firing"):
            states.setdefault(labels.without("alertstate", METRIC_NAME), {})[state] = present
    steps_ms = [min(step_ms, now_ms) for step_ms in matrix.steps_ms.tolist()]
    found = [_life(labels, rows, steps_ms) for labels, rows in states.items()]
    found = [replace(life, goes_on=life.goes_on and not ended(life.labels)) for life in found]
    return sorted(
        (life for life in found if life.spells), key=lambda life: (not life.goes_on, -life.spells[-1].end_ms, life.name)
    )


def _life(labels: Labels, rows: dict[str, Sequence[bool]], steps_ms: Sequence[int]) -> Life:
    nothing = np.zeros(len(steps_ms), dtype=bool).tolist()
    firing, pending = rows.get("firing", nothing), rows.get("pending", nothing)
    # In a step that saw both it came to fire, or had ended and began anew: what woke people counts.
    state_at = ["firing" if f else "pending" if p else "" for f, p in zip(firing, pending, strict=True)]
    step_ms = steps_ms[1] - steps_ms[0] if len(steps_ms) > 1 else 1
    spells = tuple(_spells(state_at, steps_ms, step_ms))
    return Life(labels, spells, steps_ms[0], steps_ms[-1], bool(state_at and state_at[-1]))


def _spells(states: Sequence[str], steps_ms: Sequence[int], step_ms: int) -> Iterable[Spell]:
    began = 0
    for place in range(1, len(states) + 1):
        if place < len(states) and states[place] == states[began]:
            continue
        if states[began]:
            # A step tells of the time since the one before it: somewhere within.
            start_ms = max(steps_ms[0], steps_ms[began] - step_ms // 2)
            yield Spell(start_ms, steps_ms[place - 1], states[began] == "firing")
        began = place
