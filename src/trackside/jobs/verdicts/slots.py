"""The times at which a schedule should have run, and whether it did: the last ones of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trackside.model.jobs import ScheduleNow

KEPT = 24
"""Of one schedule, with the one to come."""
MAX_SCHEDULES = 200
"""With a past; all that is remembered of jobs is written down every minute."""
EARLY_MS = 1_000
"""A second early is on time: some schedulers round."""


@dataclass(frozen=True, slots=True)
class Slot:
    """By the back-end's clock."""

    due_ms: int
    ran_ms: int | None = None
    """None: it has not, as far as anybody knows."""


Slots = Mapping[str, tuple[Slot, ...]]
"""By name of the schedule, oldest first; the last one may be yet to come."""


def slots_of(
    before: Slots, schedules: Iterable[ScheduleNow], kept: Iterable[str], at_ms: int
) -> dict[str, tuple[Slot, ...]]:
    """After a look. `kept`: names that are no longer listed, and not forgotten yet."""
    found = {name: before[name] for name in kept if name in before}
    for one in schedules:
        if one.name in found or len(found) < MAX_SCHEDULES:
            found[one.name] = after(before.get(one.name, ()), one, at_ms)
    return {name: slots for name, slots in found.items() if slots}


def after(slots: tuple[Slot, ...], seen: ScheduleNow, at_ms: int) -> tuple[Slot, ...]:
    """A time that the scheduler has left behind without a run stays as it is: missed."""
    found = list(slots)
    if seen.last_ms is not None:
        _run(found, seen.last_ms)
    elif found and found[-1].ran_ms is None and seen.next_ms is not None and seen.next_ms > found[-1].due_ms <= at_ms:
        # It does not say when it ran, but goes on when it has.
        found[-1] = Slot(found[-1].due_ms, at_ms)
    if seen.next_ms is not None:
        if found and found[-1].ran_ms is None and found[-1].due_ms > at_ms:
            # Its time has not come: the rule is another one now.
            found.pop()
        if not found or seen.next_ms > found[-1].due_ms:
            found.append(Slot(seen.next_ms))
    return tuple(found[-KEPT:])


def _run(slots: list[Slot], ran_ms: int) -> None:
    """It ran for the last time that was due by then."""
    for place in range(len(slots) - 1, -1, -1):
        if slots[place].due_ms - EARLY_MS <= ran_ms:
            if slots[place].ran_ms is None:
                slots[place] = Slot(slots[place].due_ms, ran_ms)
            return
