"""When most probes fail at once: is it the world, or is it me? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.server.probes.result import Reason

# Fewer cannot be "most".
LEAST_CHECKS = 3
LEAST_HOSTS = 2
MOST = 0.6
# A check that is asked every five minutes says nothing about this one.
RECENT_MS = 180_000

_ON_THE_WAY = frozenset((Reason.TIMEOUT, Reason.RESOLVE, Reason.UNREACHABLE))
"""The service was not reached; with every other reason, somebody out there has answered."""
_AT_HOME = frozenset((Reason.RESOLVE, Reason.UNREACHABLE))
"""The name server and the way out are this machine's own; of a time-out, each service may be the reason."""


@dataclass(frozen=True, slots=True)
class LastAttempt:
    host: str
    at_ms: int
    reason: Reason
    """NONE: it succeeded."""


@dataclass(frozen=True, slots=True)
class Judgement:
    doubtful: bool
    sentence: str = ""
    failing: int = 0
    asked: int = 0


def judged(
    attempts: Sequence[LastAttempt], now_ms: int, anchors: Sequence[bool] | None = None, recent_ms: int = RECENT_MS
) -> Judgement:
    """`anchors`: which of the machines that are always there answer now; None: they were not asked, or there are none.

    Doubt never says that all is well out there: whoever asks is told of it instead of a thousand services being down.
    So it takes more than many failures. One answer from anywhere, be it an error, ends it.
    """
    recent = [one for one in attempts if 0 <= now_ms - one.at_ms <= recent_ms]
    failed = [one for one in recent if one.reason is not Reason.NONE]
    lost = [one for one in failed if one.reason in _ON_THE_WAY]
    calm = Judgement(False, "", len(failed), len(recent))
    if len(recent) < LEAST_CHECKS or len(failed) < MOST * len(recent):
        return calm
    if len({one.host for one in failed}) < LEAST_HOSTS or _some_answer(recent):
        return calm
    count = f"{len(failed)} of {len(recent)} checks fail at once"
    if anchors:
        if any(anchors):
            return calm
        return Judgement(
            True, f"{count}, and no anchor answers: this machine has lost its network", len(failed), len(recent)
        )
    at_home = [one for one in lost if one.reason in _AT_HOME]
    if len(at_home) < MOST * len(recent):
        return calm
    what = "no names can be resolved" if _mostly(at_home, Reason.RESOLVE) else "there is no way out"
    return Judgement(True, f"{count}: {what}; the reason may lie with this machine", len(failed), len(recent))


def lost_on_the_way(attempt: LastAttempt) -> bool:
    """Whether it failed for a reason that may lie with this machine."""
    return attempt.reason in _ON_THE_WAY


def suspicious(attempts: Sequence[LastAttempt], now_ms: int, recent_ms: int = RECENT_MS) -> bool:
    """Whether it is worth to ask the anchors."""
    return judged(attempts, now_ms, [False], recent_ms).doubtful


def _some_answer(recent: Sequence[LastAttempt]) -> bool:
    """Whether anything was reached by an attempt as late as the first of the failures in doubt."""
    failed_ms = [one.at_ms for one in recent if one.reason in _ON_THE_WAY]
    if not failed_ms:
        return True
    return any(one.reason not in _ON_THE_WAY and one.at_ms >= max(failed_ms) for one in recent)


def _mostly(attempts: Sequence[LastAttempt], reason: Reason) -> bool:
    return sum(one.reason is reason for one in attempts) * 2 >= len(attempts)
