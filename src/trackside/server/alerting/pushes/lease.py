"""Alerts that others push: what a push means, and how it joins what is known of the alert."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels

NO_LABELS = Labels()


@dataclass(frozen=True, slots=True)
class Push:
    """An alert as somebody sent it."""

    labels: Labels
    annotations: Labels = NO_LABELS
    starts_ms: int | None = None
    ends_ms: int | None = None
    generator_url: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """A pushed alert, and how long it is taken to fire unless it is pushed again."""

    labels: Labels
    annotations: Labels
    starts_ms: int
    ends_ms: int
    updated_ms: int
    is_timeout: bool = False
    """The end is ours, since the sender gave none."""
    generator_url: str = ""
    patience_ms: int = 0
    """How much longer than its end it is waited for, since nobody could push while the server was down."""

    def is_over(self, now_ms: int) -> bool:
        return now_ms >= self.ends_ms + self.patience_ms

    def alert(self, now_ms: int) -> Alert:
        over = self.is_over(now_ms)
        state = AlertState.RESOLVED if over else AlertState.FIRING
        return Alert(
            self.labels,
            self.annotations,
            state,
            # Whoever pushes says no value.
            0.0,
            self.starts_ms,
            self.starts_ms,
            self.ends_ms if over else None,
            generator_url=self.generator_url,
        )


def leased(push: Push, before: Lease | None, resolve_timeout_ms: int, now_ms: int) -> Lease:
    """What is known of an alert after a push.

    Raises:
        ValueError: it ends before it starts.
    """
    starts_ms = push.starts_ms
    if starts_ms is None:
        starts_ms = now_ms if push.ends_ms is None else min(push.ends_ms, now_ms)
    ends_ms = now_ms + resolve_timeout_ms if push.ends_ms is None else push.ends_ms
    if ends_ms < starts_ms:
        raise ValueError("start time must be before end time")
    labels, annotations = push.labels, push.annotations
    if before is not None:
        # One object for equal sets: it takes less memory, and is found faster.
        labels = before.labels
        annotations = before.annotations if annotations == before.annotations else annotations
    lease = Lease(labels, annotations, starts_ms, ends_ms, now_ms, push.ends_ms is None, push.generator_url)
    if before is None or not _overlap(before, lease):
        return lease
    return _merged(before, lease, now_ms)


def _overlap(old: Lease, new: Lease) -> bool:
    return old.starts_ms < new.ends_ms < old.ends_ms or old.starts_ms < new.starts_ms < old.ends_ms


def _merged(old: Lease, new: Lease, now_ms: int) -> Lease:
    """The newer one, from the earlier start on. The end of it is moved back only by one that says it is over."""
    ends_ms = new.ends_ms
    if new.ends_ms > now_ms:
        # An end that nobody said is no reason to go on.
        if not old.is_timeout:
            ends_ms = max(ends_ms, old.ends_ms)
    elif old.ends_ms <= now_ms:
        ends_ms = max(ends_ms, old.ends_ms)
    return replace(new, starts_ms=min(old.starts_ms, new.starts_ms), ends_ms=ends_ms)
