"""All alerts that are known: those of our own rules, and those that others push."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.pushes.lease import Lease, Push, leased

KEPT_MS = 15 * 60_000
"""How long an alert that is over is remembered: a late push may still say when it began or ended."""
MAX_ALERTS = 200_000
"""More than that is a mistake of whoever pushes, and would take the memory of everything else."""


@dataclass(frozen=True, slots=True)
class Known:
    """An alert that fires, and until when it is taken to."""

    alert: Alert
    updated_ms: int
    ends_ms: int
    is_own: bool = False
    """A rule of ours says so."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push."""

    number: int
    """Of the alert, in the store."""
    lease: Lease
    is_worth_storing: bool
    """Whether it differs enough from what was stored last."""


@dataclass(slots=True, eq=False)
class _Held:
    """A pushed alert, and what is known of it beside what was pushed last."""

    number: int
    lease: Lease
    is_over: bool = True
    """Whether its end was noticed; so of one that is new, until it is found to fire."""
    stored: Lease | None = None
    """As it was given out to be stored last."""
    look_ms: int | None = None
    """When it is looked at next: what is pushed again and again needs no entry for each time."""


class Intake:
    def __init__(self, resolve_timeout_ms: int, limit_per_name: int = 0) -> None:
        """`limit_per_name`: how many pushed alerts of one `alertname` may fire; 0: as many as come."""
        self.resolve_timeout_ms = resolve_timeout_ms
        self._limit_per_name = limit_per_name
        self._held: dict[Labels, _Held] = {}
        self._next_number = 1
        self._ends: list[tuple[int, int, _Held]] = []
        """A heap of when to look; an entry may be out of date. The number only keeps entries comparable."""
        self._own: dict[Labels, tuple[Alert, int]] = {}
        self._firing_by_name: dict[str, int] = {}
        self._firing = 0
        """Pushed alerts whose end was not noticed."""

    def restore(self, leases: Mapping[int, Lease], down_ms: int, alive_ms: int) -> None:
        """`leases`: by number; `down_ms`: how long nobody could push, ending now; `alive_ms`: when it began."""
        for number, lease in leases.items():
            patience_ms = down_ms if lease.ends_ms > alive_ms else 0
            held = _Held(number, replace(lease, patience_ms=patience_ms), stored=lease)
            self._held[lease.labels] = held
            self._mark(held, is_over=False)
            self._look_at(held)
            self._next_number = max(self._next_number, number + 1)

    def push(self, push: Push, now_ms: int) -> Pushed | None:
        """The alert after a push. None: it is one too many of its name.

        Raises:
            ValueError: it makes no sense, or there are far too many alerts.
        """
        held = self._held.get(push.labels)
        lease = leased(push, None if held is None else held.lease, self.resolve_timeout_ms, now_ms)
        if held is None and len(self._held) >= MAX_ALERTS:
            raise ValueError(f"there are {len(self._held):,} alerts already")
        is_over = lease.is_over(now_ms)
        fires_anew = not is_over and (held is None or held.is_over)
        if fires_anew and self._limit_per_name and self._count(lease) >= self._limit_per_name:
            return None
        if held is None:
            held = self._held[lease.labels] = _Held(self._next_number, lease)
            self._next_number += 1
        held.lease = lease
        self._mark(held, is_over=is_over)
        if not is_over:
            self._look_at(held)
        is_worth_storing = held.stored is None or _differs(held.stored, lease, now_ms)
        if is_worth_storing:
            held.stored = lease
        return Pushed(held.number, lease, is_worth_storing)

    def offer(self, alert: Alert, now_ms: int) -> None:
        """What a rule of our own says; it ends only when the rule says so."""
        if alert.state is AlertState.FIRING:
            self._own[alert.labels] = alert, now_ms
        else:
            self._own.pop(alert.labels, None)

    def ended(self, now_ms: int) -> list[Alert]:
        """Pushed alerts whose end has come since this was asked last."""
        found: list[Alert] = []
        while self._ends and self._ends[0][0] <= now_ms:
            at_ms, _, held = heapq.heappop(self._ends)
            if held.look_ms == at_ms:
                held.look_ms = None
            if held.is_over:
                continue
            if held.lease.is_over(now_ms):
                self._mark(held, is_over=True)
                found.append(held.lease.alert(now_ms))
            else:
                self._look_at(held)
        return found

    def firing(self, now_ms: int) -> Iterator[Known]:
        for alert, updated_ms in self._own.values():
            yield self._known_own(alert, updated_ms)
        for lease in self._firing_leases(now_ms):
            yield Known(lease.alert(now_ms), lease.updated_ms, lease.ends_ms)

    def own(self) -> list[Alert]:
        """The alerts of our own rules that fire."""
        return [alert for alert, _ in self._own.values()]

    def firing_labels(self, now_ms: int) -> Iterator[Labels]:
        yield from self._own
        for lease in self._firing_leases(now_ms):
            yield lease.labels

    def _firing_leases(self, now_ms: int) -> Iterator[Lease]:
        """Without those of which a rule of our own speaks too."""
        for held in self._held.values():
            lease = held.lease
            if not lease.is_over(now_ms) and lease.labels not in self._own:
                yield lease

    def known(self, labels: Labels, now_ms: int) -> Known | None:
        """The alert with these labels, if it fires."""
        own = self._own.get(labels)
        if own is not None:
            return self._known_own(*own)
        held = self._held.get(labels)
        if held is None or held.lease.is_over(now_ms):
            return None
        return Known(held.lease.alert(now_ms), held.lease.updated_ms, held.lease.ends_ms)

    def _known_own(self, alert: Alert, updated_ms: int) -> Known:
        # It has no such end; what is said here is when somebody else would take it to be over.
        return Known(alert, updated_ms, updated_ms + self.resolve_timeout_ms, is_own=True)

    def forget_old(self, now_ms: int) -> list[int]:
        """Let go of what has been over for long; its numbers."""
        old = [held for held in self._held.values() if held.is_over and held.lease.ends_ms < now_ms - KEPT_MS]
        for held in old:
            del self._held[held.lease.labels]
        return [held.number for held in old]

    @property
    def has_leases(self) -> bool:
        return self._firing > 0

    def _look_at(self, held: _Held) -> None:
        """Look when it may be over; later is soon enough if it is looked at before."""
        at_ms = held.lease.ends_ms + held.lease.patience_ms
        if held.look_ms is None or at_ms < held.look_ms:
            held.look_ms = at_ms
            heapq.heappush(self._ends, (at_ms, held.number, held))

    def _count(self, lease: Lease) -> int:
        return self._firing_by_name.get(lease.labels.get("alertname"), 0)

    def _mark(self, held: _Held, *, is_over: bool) -> None:
        if is_over == held.is_over:
            return
        held.is_over = is_over
        change = -1 if is_over else 1
        self._firing += change
        count = self._count(held.lease) + change
        name = held.lease.labels.get("alertname")
        if count:
            self._firing_by_name[name] = count
        else:
            self._firing_by_name.pop(name, None)


def _differs(stored: Lease, lease: Lease, now_ms: int) -> bool:
    """Each repetition moves the end. It is stored when half of the time that is stored has passed: what a crash takes
    is made good by the next repetition, which comes long before the end."""
    if stored.starts_ms != lease.starts_ms or lease.is_over(now_ms):
        return stored != lease
    return abs(lease.ends_ms - stored.ends_ms) * 2 > stored.ends_ms - stored.updated_ms
