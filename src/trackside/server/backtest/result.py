"""What a backtest found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from trackside.model.labels import Labels
from trackside.model.moments import rfc3339

SHORT_MS = 300_000
"""An alert that is over sooner was most likely not worth waking anyone."""
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that one alert was active."""

    labels: Labels
    pending_ms: int
    """When its expression began to hold."""
    fired_ms: int | None
    """None: it was over before `for` was."""
    ended_ms: int | None
    """None: it still was, at the end of the time looked at."""
    value: float
    """The last one for which it held."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    name: str
    group: str
    episodes: tuple[Episode, ...] = ()
    error: str = ""

    @property
    def fired(self) -> tuple[Episode, ...]:
        return tuple(episode for episode in self.episodes if episode.fired_ms is not None)

    def firing_ms(self, start_ms: int, end_ms: int) -> int:
        """How long any of its alerts fired in that time, each moment counted once."""
        spans = sorted((each.fired_ms or 0, each.ended_ms or end_ms) for each in self.fired)
        total_ms, until_ms = 0, start_ms
        for start_ms, stop_ms in spans:
            total_ms += max(0, stop_ms - max(start_ms, until_ms))
            until_ms = max(until_ms, stop_ms)
        return total_ms

    def short(self) -> int:
        """How many of them were over in less than five minutes."""
        return sum(each.ended_ms is not None and each.ended_ms - (each.fired_ms or 0) < SHORT_MS for each in self.fired)


@dataclass(frozen=True, slots=True)
class Sent:
    """One notification that would have been sent."""

    at_ms: int
    receiver: str
    integration: str
    """Kind of receiver: "slack"."""
    reason: str
    alerts: tuple[str, ...]
    """Names, each once."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    start_ms: int
    end_ms: int
    rules: tuple[RuleResult, ...]
    notifications: tuple[Sent, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was found."""
    told: bool = False
    """Whether there are routes, by which notifications could be counted."""

    def by_receiver(self) -> dict[str, int]:
        """ "oncall (pagerduty)" → how many."""
        counts = Counter(f"{sent.receiver} ({sent.integration})" for sent in self.notifications)
        return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    done: int = 0
    total: int = 1
    doing: str = ""


def as_json(result: BacktestResult) -> dict[str, object]:
    return {
        "start": rfc3339(result.start_ms),
        "end": rfc3339(result.end_ms),
        "rules": [_rule(rule, result) for rule in result.rules],
        "told": result.told,
        "notifications": {
            "count": len(result.notifications),
            "byReceiver": result.by_receiver(),
            "list": [_sent(sent) for sent in result.notifications[:MOST_LISTED]],
        },
        "notes": list(result.notes),
    }


def _rule(rule: RuleResult, result: BacktestResult) -> dict[str, object]:
    return {
        "name": rule.name,
        "group": rule.group,
        "error": rule.error,
        "fired": len(rule.fired),
        "firingSeconds": rule.firing_ms(result.start_ms, result.end_ms) / 1_000,
        "shorterThan5m": rule.short(),
        "episodes": _episodes(rule.episodes),
    }


def _episodes(episodes: Sequence[Episode]) -> list[dict[str, object]]:
    return [
        {
            "labels": each.labels.as_dict(),
            "pendingAt": rfc3339(each.pending_ms),
            "firedAt": None if each.fired_ms is None else rfc3339(each.fired_ms),
            "endedAt": None if each.ended_ms is None else rfc3339(each.ended_ms),
            # JSON has no NaN.
            "value": repr(each.value),
        }
        for each in episodes[:MOST_LISTED]
    ]


def _sent(sent: Sent) -> dict[str, object]:
    return {
        "at": rfc3339(sent.at_ms),
        "receiver": sent.receiver,
        "integration": sent.integration,
        "reason": sent.reason,
        "alerts": list(sent.alerts),
    }
