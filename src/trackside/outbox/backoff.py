"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from random import random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long each time, up to a limit, and each time a little otherwise: what failed together must not come back
    together."""

    first_s: float = 1.0
    longest_s: float = 3_600.0
    jitter: float = 0.25
    """Share of the wait by which it may be shorter."""

    def wait_s(self, attempt: int, chance: float | None = None) -> float:
        """After the `attempt`-th failure, from 1. `chance` from 0 to 1 decides the jitter."""
        # Beyond 2**60 nothing is left to be doubled.
        longest = min(self.longest_s, self.first_s * 2.0 ** min(max(0, attempt - 1), 60))
        return longest * (1 - self.jitter * (random() if chance is None else chance))
