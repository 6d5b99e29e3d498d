"""From answers of queries to the state of a component, at each minute, and from minutes to days. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from trackside.model.labels import quoted
from trackside.server.series import Matrix, QueryResult, Scalar
from trackside.server.status.config import ComponentConfig
from trackside.server.status.model import DAY_MS, MINUTE_MS, DayView, Incident, Minutes, State

# A day with this many minutes down is red; with fewer it is shown as troubled, for one failed minute is no outage.
DOWN_MINUTES = 30

_OF_CHECK = {
    "up": State.UP,
    "down": State.DOWN,
    "flapping": State.DEGRADED,
    "maintenance": State.MAINTENANCE,
    "unknown": State.UNKNOWN,
}
_OF_HEARTBEAT = {"up": State.UP, "late": State.UP, "down": State.DOWN, "new": State.UNKNOWN}
_WEIGHT = tuple(State)


def worst(states: Iterable[State]) -> State:
    return max(states, key=_WEIGHT.index, default=State.UNKNOWN)


def query_of(component: ComponentConfig, window: str) -> str:
    """What to ask for. `window`: how far back a state may be that still counts: after a crash there is none."""
    if component.check:
        selector = f'job="uptime", check="{quoted(component.check)}"'
        return f"last_over_time(trackside_probe_state{{{selector}}}[{window}]) == 1"
    if component.heartbeat:
        selector = f'heartbeat="{quoted(component.heartbeat)}"'
        return f"last_over_time(trackside_heartbeat_status{{{selector}}}[{window}]) == 1"
    return component.expr


def states_of(component: ComponentConfig, result: QueryResult, steps_ms: Sequence[int]) -> list[State]:
    """One for each step."""
    if component.check or component.heartbeat:
        label, words = ("state", _OF_CHECK) if component.check else ("status", _OF_HEARTBEAT)
        return _each(result, steps_ms, lambda labels, value: words.get(labels.get(label, ""), State.UNKNOWN))
    return _each(result, steps_ms, lambda labels, value: State.DOWN if value == 0 else State.UP)


def troubled(result: QueryResult, steps_ms: Sequence[int]) -> list[bool]:
    """At which steps an expression has a value that is not 0."""
    found = _each(result, steps_ms, lambda labels, value: State.DEGRADED if value else State.UNKNOWN)
    return [state is State.DEGRADED for state in found]


def _each(
    result: QueryResult, steps_ms: Sequence[int], read: Callable[[Mapping[str, str], float], State]
) -> list[State]:
    states: dict[int, list[State]] = {step: [] for step in steps_ms}
    value = result.value
    if isinstance(value, Scalar):
        return [read({}, value.value) if value.value == value.value else State.UNKNOWN for _ in steps_ms]
    if isinstance(value, Matrix):
        for column, step_ms in enumerate(value.steps_ms.tolist()):
            for row, labels in enumerate(value.labels):
                number = float(value.values[row, column])
                # What is NaN is no statement.
                if value.present[row, column] and number == number and step_ms in states:
                    states[step_ms].append(read(labels.as_dict(), number))
    return [worst(states[step]) for step in steps_ms]


def with_maintenance(
    component: str, states: Sequence[State], steps_ms: Sequence[int], incidents: Sequence[Incident]
) -> list[State]:
    """Maintenance that a person has announced counts, whatever was measured."""
    return [
        State.MAINTENANCE if any(one.hides(component, step_ms) for one in incidents) else state
        for state, step_ms in zip(states, steps_ms, strict=True)
    ]


def minutes_by_day(states: Sequence[State], steps_ms: Sequence[int]) -> dict[int, Minutes]:
    """What these minutes add to their days."""
    days: dict[int, Minutes] = {}
    for state, step_ms in zip(states, steps_ms, strict=True):
        if state is not State.UNKNOWN:
            day = step_ms // DAY_MS
            before = days.get(day, Minutes())
            days[day] = replace(before, **{state.value: getattr(before, state.value) + 1})
    return days


def open_minutes(last_ms: int | None, now_ms: int, most: int) -> list[int]:
    """The whole minutes after `last_ms` that are over by now, at most the `most` latest."""
    until_ms = now_ms // MINUTE_MS * MINUTE_MS
    from_ms = until_ms if last_ms is None else last_ms + MINUTE_MS
    from_ms = max(from_ms, until_ms - (most - 1) * MINUTE_MS)
    return list(range(from_ms, until_ms + 1, MINUTE_MS))


def day_view(day: int, minutes: Minutes) -> DayView:
    return DayView(day, minutes, _state_of_day(minutes))


def _state_of_day(minutes: Minutes) -> State:
    if minutes.down >= DOWN_MINUTES:
        return State.DOWN
    if minutes.down or minutes.degraded:
        return State.DEGRADED
    if minutes.up:
        return State.UP
    return State.MAINTENANCE if minutes.maintenance else State.UNKNOWN


def days_view(minutes: Mapping[int, Minutes], today: int, count: int) -> tuple[tuple[DayView, ...], float | None]:
    """The last `count` days, and the share of them in which it was up."""
    days = tuple(day_view(day, minutes.get(day, Minutes())) for day in range(today - count + 1, today + 1))
    total = Minutes()
    for one in days:
        total = total.plus(one.minutes)
    return days, total.up_share
