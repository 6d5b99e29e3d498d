"""The log of slow queries: which statement took how long, without the values in it, and never a flood."""

from __future__ import annotations

import logging
from math import inf
from threading import Lock
from time import monotonic

from trackside.sdk.watch.statements import without_literals

MAX_TEXT = 1_000
"""Characters of a statement."""
MAX_LINES, WINDOW_S = 20, 10.0
"""When a database is in trouble every query is slow, and a line for each would make the trouble worse."""

_log = logging.getLogger("trackside.slow_query")


class SlowQueries:
    def __init__(self, threshold_s: float) -> None:
        self.threshold_s = threshold_s if threshold_s > 0 else inf
        self._lock = Lock()
        self._window_began = -inf
        self._lines = 0
        self._left_out = 0

    def log(self, database: str, query_type: str, statement: str, took_s: float, system: str = "") -> None:
        left_out = self._enter(monotonic())
        if left_out is None or not _log.isEnabledFor(logging.WARNING):
            return
        text = without_literals(statement, MAX_TEXT, system)
        more = {"database": database, "query_type": query_type, "duration_s": took_s, "statement": text}
        after = f" ({left_out} more were left out before it)" if left_out else ""
        _log.warning("slow query, %.3f s in %s: %s%s", took_s, database, text, after, extra=more)

    def _enter(self, now_s: float) -> int | None:
        """How many lines were left out before this one; None when it is to be left out too."""
        with self._lock:
            if now_s - self._window_began >= WINDOW_S:
                self._window_began, self._lines = now_s, 0
            if self._lines >= MAX_LINES:
                self._left_out += 1
                return None
            self._lines += 1
            left_out, self._left_out = self._left_out, 0
            return left_out
