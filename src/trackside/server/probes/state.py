"""From single attempts to what people are told: up, down, flapping, or left alone for maintenance. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Condition(Enum):
    UNKNOWN = "unknown"
    """Not yet asked, or not often enough to say that it is down."""
    UP = "up"
    DOWN = "down"
    FLAPPING = "flapping"
    """Neither can be believed."""
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Damping:
    """When an attempt is believed."""

    retries: int = 1
    flap_changes: int = 4
    flap_within_ms: int = 3_600_000
    settle_ms: int = 900_000


@dataclass(frozen=True, slots=True)
class Fact:
    """What there is to know at one moment."""

    success: bool | None
    """Of an attempt; None: there was none."""
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class ProbeState:
    condition: Condition = Condition.UNKNOWN
    since_ms: int = 0
    """When `condition` began."""
    up: bool | None = None
    """What the attempts say, retries counted, whatever else holds."""
    failures: int = 0
    """In a row."""
    changes_ms: tuple[int, ...] = ()
    """When `up` last changed, oldest first."""
    flapping: bool = False

    @property
    def in_doubt(self) -> bool:
        """It failed, and more attempts are to say whether it is down."""
        return self.failures > 0 and self.up is not False


def advanced(state: ProbeState, damping: Damping, fact: Fact, now_ms: int) -> ProbeState:
    """The state after `fact`. Also called without an attempt: hours of maintenance begin and end by themselves."""
    state = _after_attempt(state, damping, fact, now_ms)
    # A clock that was set back must not leave changes in the future, which would never be over.
    changes = tuple(at for at in state.changes_ms if at <= now_ms)
    often = sum(at > now_ms - damping.flap_within_ms for at in changes) >= damping.flap_changes
    settled = not changes or now_ms - changes[-1] >= damping.settle_ms
    flapping = (state.flapping or often) and not settled
    if state.flapping and settled:
        # It begins anew: the next change alone must not make it flap again.
        changes = ()
    condition = _condition(state.up, flapping=flapping, maintenance=fact.maintenance)
    since_ms = state.since_ms if condition is state.condition and state.since_ms else now_ms
    return replace(state, condition=condition, since_ms=since_ms, changes_ms=changes, flapping=flapping)


def _after_attempt(state: ProbeState, damping: Damping, fact: Fact, now_ms: int) -> ProbeState:
    if fact.success is None:
        return state
    if fact.success:
        return _turned(replace(state, failures=0), True, damping, now_ms)
    if fact.maintenance:
        # Failing is expected now: counting starts afresh when the hours are over.
        return replace(state, failures=0)
    state = replace(state, failures=state.failures + 1)
    return _turned(state, False, damping, now_ms) if state.failures > damping.retries else state


def _turned(state: ProbeState, up: bool, damping: Damping, now_ms: int) -> ProbeState:
    if state.up is up:
        return state
    changes = state.changes_ms if state.up is None else (*state.changes_ms, now_ms)
    return replace(state, up=up, changes_ms=changes[-damping.flap_changes :])


def _condition(up: bool | None, *, flapping: bool, maintenance: bool) -> Condition:
    if maintenance:
        return Condition.MAINTENANCE
    if up is None:
        return Condition.UNKNOWN
    if flapping:
        return Condition.FLAPPING
    return Condition.UP if up else Condition.DOWN
