"""How many runs a back-end counts without showing them, from two tellers that do not speak at the same moment.

A worker's own counter and the list of finished jobs change a moment apart, and either may be read first; a hook tells
of a run later still. So what is counted and not shown yet is owed for a while, and becomes a run of no known kind only
when nothing has come to pay for it. Who pays, pays for the oldest: then a lag that never ends, under steady work, is no
debt that grows old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

SETTLE_MS = 30_000
SETTLE_LOOKS = 2
"""Both have to pass: a source may be looked at seldom."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Runs that one teller knows, and the other does not yet."""

    queue: str
    """"" where the teller does not tell queues apart."""
    count: int
    at_ms: int
    looks: int = 0
    """Samples since."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one source and one side: successes, or failed attempts. One of the two is empty."""

    owed: tuple[Entry, ...] = ()
    """Counted and not shown, oldest first."""
    ahead: tuple[Entry, ...] = ()
    """Shown and not counted, oldest first."""


@dataclass(frozen=True, slots=True)
class Settled:
    balance: Balance
    unseen: Mapping[str, int]
    """By queue: runs that are to be counted now; "" where it is not known which."""


def moved(before: Balance, counted: Mapping[str, int], shown: Mapping[str, int], at_ms: int) -> Balance:
    """`counted` and `shown` since the last time, by queue. (Less than nothing is shown of what has moved elsewhere.)"""
    owed, ahead = list(before.owed), list(before.ahead)
    for queue, count in counted.items():
        _meet(ahead, owed, Entry(queue, count, at_ms))
    for queue, count in shown.items():
        if count > 0:
            _meet(owed, ahead, Entry(queue, count, at_ms))
        else:
            _meet(ahead, owed, Entry(queue, -count, at_ms))
    return Balance(tuple(owed), tuple(ahead))


def settled(before: Balance, at_ms: int) -> Settled:
    """After a sample at `at_ms`. What was shown and never counted is forgiven: a worker took its counter with it, and
    later ones must not pay for that."""
    unseen: dict[str, int] = {}
    owed = [replace(entry, looks=entry.looks + 1) for entry in before.owed]
    for entry in owed:
        if _is_old(entry, at_ms):
            unseen[entry.queue] = unseen.get(entry.queue, 0) + entry.count
    ahead = (replace(entry, looks=entry.looks + 1) for entry in before.ahead)
    return Settled(Balance(_young(owed, at_ms), _young(ahead, at_ms)), unseen)


def _meet(waiting: list[Entry], other: list[Entry], new: Entry) -> None:
    """Take `new` from what waits for it: of its own queue first, then of none, then of any, the oldest first; what is
    left of it waits on the other side."""
    left = new.count
    rank = {new.queue: 0, "": 1} if new.queue else {"": 0}
    for place in sorted(range(len(waiting)), key=lambda place: (rank.get(waiting[place].queue, 2), place)):
        taken = min(left, waiting[place].count)
        waiting[place] = replace(waiting[place], count=waiting[place].count - taken)
        left -= taken
    waiting[:] = [entry for entry in waiting if entry.count]
    if left:
        other.append(replace(new, count=left))


def _young(entries: Iterable[Entry], at_ms: int) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if not _is_old(entry, at_ms))


def _is_old(entry: Entry, at_ms: int) -> bool:
    # Either way: hooks stamp with our clock, samples with the back-end's.
    return entry.looks > SETTLE_LOOKS and abs(at_ms - entry.at_ms) >= SETTLE_MS
