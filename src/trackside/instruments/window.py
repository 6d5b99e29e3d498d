"""What was observed lately, kept one by one, and the quantiles of it: exact, where buckets would be a guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

SIZE = 512
"""Observations that are kept. In a busier window they are its latest, of each process."""
WIDTH = 1 + 2 * SIZE
"""Where the next one goes, then time and value of each."""


def observe(cell: list[float], value: float, now_s: float) -> None:
    at = int(cell[0])
    cell[2 + 2 * at] = value
    # The time last: who reads this meanwhile takes nothing for observed that is not there yet.
    cell[1 + 2 * at] = now_s
    cell[0] = (at + 1) % SIZE


def observed(cells: Iterable[Sequence[float]], since_s: float) -> list[float]:
    """All values of several cells since then, in order."""
    found: list[float] = []
    for cell in cells:
        found.extend(value for at_s, value in zip(cell[1::2], cell[2::2], strict=False) if at_s >= since_s)
    found.sort()
    return found


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all are not above: always one that was observed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
