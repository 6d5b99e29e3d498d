"""Messages that a receiver refuses as they are (a 4xx answer): tried at the next flushes, and then no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trackside.model.alerts import Alert
from trackside.server.alerting.decision import Terms, Truth, truth

FINAL_AFTER = 3
ASKED_AGAIN_MS = 3_600_000
"""Whoever mends a receiver may forget to tell us."""


@dataclass(slots=True)
class _Refusal:
    truth: Truth
    at_ms: int
    count: int = 0


class Refusals:
    """Of one integration, by group."""

    def __init__(self) -> None:
        self._by_group: dict[str, _Refusal] = {}
        self._is_announced = False

    def note(self, group_id: str, alerts: Iterable[Alert], now_ms: int) -> bool:
        """Count one; whether it is time to say to others that this integration refuses what it is told."""
        said = truth(alerts)
        found = self._by_group.get(group_id)
        if found is None or found.truth != said:
            found = self._by_group[group_id] = _Refusal(said, now_ms)
        found.count += 1
        found.at_ms = now_ms
        if found.count < FINAL_AFTER or self._is_announced:
            return False
        self._is_announced = True
        return True

    def are_final(self, group_id: str, alerts: Iterable[Alert], terms: Terms, now_ms: int) -> bool:
        """Whether it makes no sense to say this again: until something changes, or a long time has passed."""
        found = self._by_group.get(group_id)
        if found is None or found.count < FINAL_AFTER or found.truth != truth(alerts):
            return False
        return now_ms - found.at_ms < min(terms.repeat_interval_ms, ASKED_AGAIN_MS)

    def end(self, group_id: str) -> bool:
        """A message about the group was taken; whether others are to be told that all is well again."""
        self._by_group.pop(group_id, None)
        if not self._is_announced or any(one.count >= FINAL_AFTER for one in self._by_group.values()):
            return False
        self._is_announced = False
        return True

    def restore(self) -> None:
        """Others were told so by the process before."""
        self._is_announced = True

    def forget(self, group_id: str) -> None:
        self._by_group.pop(group_id, None)
