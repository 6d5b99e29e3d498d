"""Guessing keys is made slow: after some failures, a client has to wait. Pure."""

from __future__ import annotations

from collections import OrderedDict

FREE_FAILURES = 10
WINDOW_MS = 60_000
MAX_CLIENTS = 10_000


class Throttle:
    """Counts failures by client address, of the last minute, for a bounded number of clients."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Client to (start of its window, failures in it), the longest quiet first."""

    def blocked_ms(self, client: str, now_ms: int) -> int:
        """How long this client has to wait; 0: not at all."""
        start_ms, failures = self._failures.get(client, (now_ms, 0))
        if failures < FREE_FAILURES:
            return 0
        return max(0, min(start_ms + WINDOW_MS - now_ms, WINDOW_MS))

    def failed(self, client: str, now_ms: int) -> None:
        start_ms, failures = self._failures.pop(client, (now_ms, 0))
        # A clock that was set back must not make anybody wait for the difference.
        if not 0 <= now_ms - start_ms < WINDOW_MS:
            start_ms, failures = now_ms, 0
        self._failures[client] = (start_ms, failures + 1)
        while len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)
