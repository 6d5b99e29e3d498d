"""From what is told to what is to be written: the ledger's rules, without its storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trackside.jobs.ledger.balance import Balance, moved, settled
from trackside.jobs.ledger.cells import OTHER, UNSEEN, CellChanges, Change, SeriesKey, add_unseen, cell_changes
from trackside.jobs.ledger.matching import same_run
from trackside.jobs.ledger.runs import MAX_NAME, Outcome, Run, merged
from trackside.jobs.ledger.tiers import TIERS, Tier
from trackside.model.jobs import Throughput

MAX_NAMES = 200
"""Kinds of one source that are counted apart, and queues."""
SUCCESSES, FAILURES = "succeeded", "failed_attempts"
# A final failure stays in sight, so failures that are not seen were retried.
_SIDES = {SUCCESSES: Outcome.SUCCEEDED, FAILURES: Outcome.RETRIED}
Balances = Mapping[str, Balance]
"""By side."""


@dataclass(slots=True)
class Names:
    """Those of one source that are counted apart. Who came first stays."""

    queues: set[str]
    kinds: set[str]

    def labelled(self, run: Run) -> Run:
        return replace(run, counted_queue=_label(run.queue, self.queues), counted_kind=_label(run.kind, self.kinds))


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a source before it is told of more."""

    source: str
    names: Names
    balances: Balances


@dataclass(frozen=True, slots=True)
class Booked:
    changes: tuple[Change, ...]
    added: int
    """Runs that were not known before."""


@dataclass(frozen=True, slots=True)
class Counted:
    cells: CellChanges
    balances: Balances


def booked(known: Mapping[str, Sequence[Run]], told: Iterable[Run], names: Names) -> Booked:
    """`known`: what is stored of the jobs that `told` is about, by their ids.

    A run that is new gets a negative `seq` of its own, so that a second word on it within `told` finds it.
    """
    of_job = {id: list(runs) for id, runs in known.items()}
    first: dict[int, Run | None] = {}
    last: dict[int, Run] = {}
    for number, run in enumerate(told, 1):
        runs = of_job.setdefault(run.id, [])
        match = same_run(runs, run)
        if match is None:
            after = replace(names.labelled(run), seq=-number)
            runs.append(after)
            first[after.seq] = None
        else:
            after = merged(match, run)
            runs[runs.index(match)] = after
            first.setdefault(after.seq, match)
        last[after.seq] = after
    changes = [Change(before, last[seq]) for seq, before in first.items() if before != last[seq]]
    return Booked(tuple(changes), sum(change.before is None for change in changes))


def counted(
    account: Account, changes: Sequence[Change], ended: Sequence[Throughput], at_ms: int, tiers: Sequence[Tier] = TIERS
) -> Counted:
    """What a sample adds to the cells. `at_ms` is its time."""
    before = paid(account, changes, at_ms, ended)
    if not before:
        return Counted(cell_changes(changes, tiers), before)
    cells = cell_changes(changes, tiers)
    after: dict[str, Balance] = {}
    for side, outcome in _SIDES.items():
        settlement = settled(before[side], at_ms)
        after[side] = settlement.balance
        for queue, count in settlement.unseen.items():
            add_unseen(cells, SeriesKey(account.source, queue, UNSEEN, outcome), count, at_ms, tiers)
    return Counted(cells, after)


def paid(account: Account, changes: Sequence[Change], at_ms: int, ended: Sequence[Throughput] = ()) -> Balances:
    """The balances after `changes`; none for a source that shows all it counts."""
    if not account.balances and not ended:
        return {}
    return {
        side: moved(
            account.balances.get(side, Balance()), _ended(account.names, ended, side), _shown(changes, side), at_ms
        )
        for side in _SIDES
    }


def _ended(names: Names, ended: Sequence[Throughput], side: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in ended:
        queue = _label(one.queue[:MAX_NAME], names.queues) if one.queue else ""
        found[queue] += one.succeeded if side == SUCCESSES else one.failed_attempts
    return +found


def _shown(changes: Sequence[Change], side: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for before, after in changes:
        found[after.counted_queue] += _is_on(after, side)
        if before is not None:
            found[before.counted_queue] -= _is_on(before, side)
    return found


def _is_on(run: Run, side: str) -> int:
    if side == SUCCESSES:
        return int(run.outcome is Outcome.SUCCEEDED)
    # A run that was stopped is a failed attempt to the counters of RQ. To others it is none: then it is shown and not
    # counted, which is forgiven.
    return int(run.outcome.is_failure or (run.outcome is Outcome.CANCELLED and run.started_ms is not None))


def _label(name: str, known: set[str]) -> str:
    if name in known:
        return name
    if len(known) >= MAX_NAMES:
        return OTHER
    known.add(name)
    return name
