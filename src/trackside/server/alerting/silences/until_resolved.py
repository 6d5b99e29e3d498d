"""Silences that last until what they silence is over: an acknowledgement that undoes itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import matches
from trackside.server.alerting.silences.silence import Silence, SilenceState

LONGEST_MS = 24 * 3_600_000
"""One that is forgotten must not keep the next outage quiet."""
_UNTIL, _RESOLVED = "trackside_until", "resolved"
MARK = Labels.of({_UNTIL: _RESOLVED})
"""The annotations of such a silence; what does not know them sees one that lasts a day."""


def lasts_until_resolved(silence: Silence) -> bool:
    return silence.annotations.get(_UNTIL) == _RESOLVED


def fulfilled(silences: Iterable[Silence], firing: Collection[Labels], now_ms: int) -> list[str]:
    """Ids of those that are active though nothing that they match fires any more."""
    return [
        one.silence_id
        for one in silences
        if lasts_until_resolved(one)
        and one.state(now_ms) is SilenceState.ACTIVE
        and not any(matches(one.matchers, labels) for labels in firing)
    ]
