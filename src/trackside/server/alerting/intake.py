"""All alerts that are known: those of our own rules, and those that others push."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
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


class Intake:
    def __init__(self, resolve_timeout_ms: int, limit_per_name: int = 0) -> None:
        """`limit_per_name`: how many pushed alerts of one `alertname` may fire; 0: as many as come."""
        self.resolve_timeout_ms = resolve_timeout_ms
        self._limit_per_name = limit_per_name
        self._leases: dict[Labels, Lease] = {}
        self._over: set[Labels] = set()
        """Those of the leases whose end was noticed."""
        self._ends: list[tuple[int, Labels]] = []
        """A heap of when to look; an entry may be out of date."""
        self._looked_at: dict[Labels, int] = {}
        """When each alert is looked at next: what is pushed again and again needs no entry for each time."""
        self._stored: dict[Labels, Lease] = {}
        """Each lease as it was given out to be stored last."""
        self._own: dict[Labels, tuple[Alert, int]] = {}
        self._firing_by_name: dict[str, int] = {}

    def restore(self, leases: Iterable[Lease], down_ms: int, alive_ms: int) -> None:
        """`down_ms`: how long nobody could push, ending now; `alive_ms`: when it began."""
        for lease in leases:
            patience_ms = down_ms if lease.ends_ms > alive_ms else 0
            self._stored[lease.labels] = lease
            self._hold(replace(lease, patience_ms=patience_ms), is_over=False)

    def push(self, push: Push, now_ms: int) -> tuple[Lease, bool] | None:
        """The alert after a push, and whether it differs enough to be stored. None: it is one too many of its name.

        Raises:
            ValueError: it makes no sense, or there are far too many alerts.
        """
        before = self._leases.get(push.labels)
        if before is not None:
            # One object for equal labels: it takes less memory, and is found faster.
            push = replace(push, labels=before.labels)
        lease = leased(push, before, self.resolve_timeout_ms, now_ms)
        if before is None and len(self._leases) >= MAX_ALERTS:
            raise ValueError(f"there are {len(self._leases):,} alerts already")
        fires_anew = not lease.is_over(now_ms) and (before is None or push.labels in self._over)
        name = push.labels.get("alertname")
        if fires_anew and self._limit_per_name and self._firing_by_name.get(name, 0) >= self._limit_per_name:
            return None
        self._hold(lease, is_over=lease.is_over(now_ms))
        stored = self._stored.get(push.labels)
        is_worth_storing = stored is None or _differs(stored, lease, now_ms)
        if is_worth_storing:
            self._stored[push.labels] = lease
        return lease, is_worth_storing

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
            at_ms, labels = heapq.heappop(self._ends)
            if self._looked_at.get(labels) == at_ms:
                del self._looked_at[labels]
            lease = self._leases.get(labels)
            if lease is None or labels in self._over:
                continue
            if lease.is_over(now_ms):
                self._mark(labels, is_over=True)
                found.append(lease.alert(now_ms))
            else:
                self._look_at(lease)
        return found

    def firing(self, now_ms: int) -> Iterator[Known]:
        for alert, updated_ms in self._own.values():
            yield self._known_own(alert, updated_ms)
        for labels in self.firing_labels(now_ms):
            if labels not in self._own:
                lease = self._leases[labels]
                yield Known(lease.alert(now_ms), lease.updated_ms, lease.ends_ms)

    def own(self) -> list[Alert]:
        """The alerts of our own rules that fire."""
        return [alert for alert, _ in self._own.values()]

    def firing_labels(self, now_ms: int) -> Iterator[Labels]:
        yield from self._own
        for labels, lease in self._leases.items():
            if labels not in self._own and not lease.is_over(now_ms):
                yield labels

    def known(self, labels: Labels, now_ms: int) -> Known | None:
        """The alert with these labels, if it fires."""
        own = self._own.get(labels)
        if own is not None:
            return self._known_own(*own)
        lease = self._leases.get(labels)
        if lease is None or lease.is_over(now_ms):
            return None
        return Known(lease.alert(now_ms), lease.updated_ms, lease.ends_ms)

    def _known_own(self, alert: Alert, updated_ms: int) -> Known:
        # It has no such end; what is said here is when somebody else would take it to be over.
        return Known(alert, updated_ms, updated_ms + self.resolve_timeout_ms, is_own=True)

    def forget_old(self, now_ms: int) -> list[Labels]:
        """Let go of what has been over for long."""
        old = [labels for labels in self._over if self._leases[labels].ends_ms < now_ms - KEPT_MS]
        for labels in old:
            self._over.discard(labels)
            self._stored.pop(labels, None)
            del self._leases[labels]
        return old

    @property
    def has_leases(self) -> bool:
        return len(self._leases) > len(self._over)

    def _hold(self, lease: Lease, *, is_over: bool) -> None:
        labels = lease.labels
        if labels not in self._leases:
            # Counted as one that fires no more, which `_mark` then corrects.
            self._over.add(labels)
        self._leases[labels] = lease
        self._mark(labels, is_over=is_over)
        if not is_over:
            self._look_at(lease)

    def _look_at(self, lease: Lease) -> None:
        """Look when it may be over; later is soon enough if it is looked at before."""
        at_ms = lease.ends_ms + lease.patience_ms
        planned_ms = self._looked_at.get(lease.labels)
        if planned_ms is None or at_ms < planned_ms:
            self._looked_at[lease.labels] = at_ms
            heapq.heappush(self._ends, (at_ms, lease.labels))

    def _mark(self, labels: Labels, *, is_over: bool) -> None:
        if is_over == (labels in self._over):
            return
        name = labels.get("alertname")
        count = self._firing_by_name.get(name, 0) + (-1 if is_over else 1)
        if count:
            self._firing_by_name[name] = count
        else:
            self._firing_by_name.pop(name, None)
        (self._over.add if is_over else self._over.discard)(labels)


def _differs(stored: Lease, lease: Lease, now_ms: int) -> bool:
    """Each repetition moves the end. It is stored when half of the time that is stored has passed: what a crash takes
    is made good by the next repetition, which comes long before the end."""
    if stored.starts_ms != lease.starts_ms or lease.is_over(now_ms):
        return stored != lease
    return abs(lease.ends_ms - stored.ends_ms) * 2 > stored.ends_ms - stored.updated_ms
