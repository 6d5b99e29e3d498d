"""How finely the past is counted, and which buckets a range is read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Tier:
    step_ms: int
    """A whole multiple of the finer one's."""
    keep_ms: int

    def start_of(self, at_ms: int) -> int:
        return at_ms - at_ms % self.step_ms


TIERS = (
    Tier(10_000, 2 * HOUR_MS),
    Tier(MINUTE_MS, 48 * HOUR_MS),
    Tier(HOUR_MS, 90 * DAY_MS),
    Tier(DAY_MS, 3 * 365 * DAY_MS),
)
"""Finest first."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Buckets of one tier, from `start_ms` up to, not including, `end_ms`."""

    step_ms: int
    start_ms: int
    end_ms: int


def stretches(start_ms: int, end_ms: int, now_ms: int, tiers: Sequence[Tier] = TIERS) -> list[Stretch]:
    """Few and coarse buckets that cover [start, end) once, with finer ones at its ends while those are kept.

    Where the finer ones are gone, whole coarse buckets are taken: the range then reaches out a little.
    """
    kept = [tier for tier in tiers if now_ms - start_ms <= tier.keep_ms] or [tiers[-1]]
    finest = kept[0]
    return _covering(finest.start_of(start_ms), _up(end_ms, finest.step_ms), kept)


def tier_for(start_ms: int, step_ms: int, now_ms: int, tiers: Sequence[Tier] = TIERS) -> Tier:
    """The coarsest one that divides `step_ms` and still holds `start_ms`; otherwise the finest that still holds it."""
    kept = [tier for tier in tiers if now_ms - start_ms <= tier.keep_ms] or [tiers[-1]]
    dividing = [tier for tier in kept if step_ms % tier.step_ms == 0]
    return dividing[-1] if dividing else kept[0]


def _covering(start_ms: int, end_ms: int, tiers: Sequence[Tier]) -> list[Stretch]:
    if start_ms >= end_ms:
        return []
    coarsest = tiers[-1]
    first, last = _up(start_ms, coarsest.step_ms), coarsest.start_of(end_ms)
    if len(tiers) == 1:
        return [Stretch(coarsest.step_ms, coarsest.start_of(start_ms), _up(end_ms, coarsest.step_ms))]
    finer = tiers[:-1]
    if first >= last:
        return _covering(start_ms, end_ms, finer)
    middle = Stretch(coarsest.step_ms, first, last)
    return [*_covering(start_ms, first, finer), middle, *_covering(last, end_ms, finer)]


def _up(at_ms: int, step_ms: int) -> int:
    return -(-at_ms // step_ms) * step_ms
