"""When alerts were pending and firing, read from the ALERTS series that rules write; and the strips that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trackside.model.durations import format_duration
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.matchers import Matcher
from trackside.model.rules import RuleGroupStatus
from trackside.server.alerting.matchers import matches
from trackside.server.fingerprint import fingerprint
from trackside.server.promql.quoting import quoted
from trackside.server.series import Matrix
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.chart import onto_grid
from trackside.server.web.console import Console
from trackside.server.web.figures import age
from trackside.server.web.period import Period, step_for
from trackside.server.web.verdict import Level, severity_level

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
class Counted:
    """What the steps are too coarse to see, from the single evaluations."""

    firing_ms: int
    times: int
    """How often it began to be true: as often as it fired, or more often."""


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
    step_ms: int = 0
    """How fine the spells are; 0: to the moment."""
    counted: Counted | None = None
    """None where nobody knows how often its rule is evaluated."""

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
        return severity_level(self.labels) if self.spells[-1].fires else Level.UNKNOWN

    @property
    def times_text(self) -> str:
        """How often it fired; what flickers within the steps looks like one spell."""
        counted, seen = self.counted, len(self.firing)
        if counted is not None and counted.times > seen and counted.firing_ms < self.firing_ms // 2:
            return "on and off"
        return {1: "once", 2: "twice"}.get(seen, f"{seen} times")

    @property
    def firing_text(self) -> str:
        """How long it fired in all; what a single step saw may have lasted a second."""
        if not self.step_ms:
            return age(self.firing_ms)
        if self.counted is not None:
            return age(self.counted.firing_ms)
        longest_ms = len(self.firing) * self.step_ms
        return f"about {age(self.firing_ms)}" if self.firing_ms > longest_ms // 2 else f"under {age(longest_ms)}"

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
    until_ms = min(period.end_ms, period.now_ms)
    own = [] if only is None else [f"{name}={quoted(value)}" for name, value in only]
    span = format_duration(max(1, until_ms - period.start_ms))
    firing = ",".join([*own, 'alertstate="firing"'])
    questions = {
        # The highest of each step, or an alert shorter than one would be missed.
        "states": f"max_over_time(ALERTS{{{','.join(own)}}}[{format_duration(period.step_ms)}])",
        "firing": f"count_over_time(ALERTS{{{firing}}}[{span}])",
        "begun": f"changes(ALERTS_FOR_STATE{{{','.join(own)}}}[{span}]) + 1",
    }
    asked = {name: Question(expr, is_range=name == "states") for name, expr in questions.items()}
    answers = await ask_all(console.backend, console.clock, period, asked)
    answer = answers["states"]
    if answer.matrix is None:
        return History((), 0, period.start_ms, until_ms, answer.reason)
    grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
    lives = lives_of(grid, period.now_ms, _ended(console) if period.end_ms >= period.now_ms else _nobody_knows)
    kept = [life for life in lives if matches(matchers, life.labels) and only in (None, life.labels)]
    kept = _counted(kept, answers["firing"], answers["begun"], console.rule_groups())
    return History(tuple(kept[:MOST]), max(0, len(kept) - MOST), period.start_ms, until_ms)


def _counted(lives: Sequence[Life], firing: Answer, begun: Answer, groups: Sequence[RuleGroupStatus]) -> list[Life]:
    intervals_ms = {rule.name: group.interval_ms for group in groups for rule in group.rules}
    evaluations = {labels.without("alertstate", METRIC_NAME): count for labels, count in firing.vector()}
    times = {labels.without(METRIC_NAME): count for labels, count in begun.vector()}
    found = []
    for life in lives:
        interval_ms, count = intervals_ms.get(life.name), evaluations.get(life.labels)
        if interval_ms is not None and count is not None:
            counted = Counted(round(count * interval_ms), round(times.get(life.labels, 1)))
            life = replace(life, counted=counted)
        found.append(life)
    return found


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
    return Life(labels, spells, steps_ms[0], steps_ms[-1], bool(state_at and state_at[-1]), step_ms)


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
