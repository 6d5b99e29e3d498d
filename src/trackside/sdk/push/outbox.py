"""What waits to be sent to one destination: bounded, in order, and patient with a receiver that is away."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from trackside.sdk.push.destination import Destination
from trackside.sdk.push.transport import Outcome, Post

MAX_BYTES = 8 * 1024 * 1024
"""Of compressed messages: for most applications hours of a receiver's absence."""
MAX_BACK_OFF_S = 60.0

SENT, REFUSED, FAILED, DROPPED = "sent", "refused", "failed", "dropped"

Count = Callable[[str], None]


class Outbox:
    def __init__(self, destination: Destination, count: Count, max_bytes: int = MAX_BYTES) -> None:
        """`count` is told how each request ended: SENT, REFUSED (for good), FAILED (and tried again), DROPPED (for
        want of room)."""
        self.destination = destination
        self.not_before_s = 0.0
        """Of the clock that `ship` is given."""
        self._count = count
        self._max_bytes = max_bytes
        self._bodies: deque[bytes] = deque()
        self._bytes = 0
        self._failures = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, body: bytes) -> None:
        """The oldest go when there is no room: what a chart shows now matters most."""
        self._bodies.append(body)
        self._bytes += len(body)
        while self._bytes > self._max_bytes and len(self._bodies) > 1:
            self._bytes -= len(self._bodies.popleft())
            self._count(DROPPED)

    def ship(self, post: Post, now_s: Callable[[], float], *, at_once: bool = False) -> Outcome | None:
        """Send until nothing is left or the receiver is in trouble. What was wrong last; None when nothing was.

        `at_once`: though the back-off is not over.
        """
        trouble: Outcome | None = None
        while self._bodies and (at_once or now_s() >= self.not_before_s):
            outcome = post(self.destination, self._bodies[0])
            if outcome.taken:
                self._count(SENT)
                self._failures = 0
            else:
                trouble = outcome
                self._count(FAILED if outcome.again else REFUSED)
                if outcome.again:
                    self._back_off(outcome, now_s())
                    break
            self._bytes -= len(self._bodies.popleft())
        return trouble

    def clear(self) -> None:
        self._bodies.clear()
        self._bytes = self._failures = 0
        self.not_before_s = 0.0

    def _back_off(self, outcome: Outcome, now_s: float) -> None:
        self._failures += 1
        longest_s = min(MAX_BACK_OFF_S, 2.0 ** min(self._failures, 10))
        # Not all processes at the same moment, when a receiver comes back.
        wait_s = longest_s * random.uniform(0.5, 1.0)
        self.not_before_s = now_s + max(wait_s, min(outcome.retry_after_s, 5 * MAX_BACK_OFF_S))
