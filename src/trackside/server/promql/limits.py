"""What a query may cost, and how it is stopped when it costs more."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.exceptions import QueryError, QueryLimitError, QueryTimeoutError
from trackside.server.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class QueryLimits:
    max_samples: int = 50_000_000
    """Held in memory at once: the frame at hand and all intermediate results."""
    max_series: int = 500_000
    """Selected by one query, each selector counted."""
    max_points_per_series: int = 11_000
    """Steps of a range query."""
    timeout_ms: int = 120_000

    def check_steps(self, steps: int) -> None:
        if steps > self.max_points_per_series:
            raise QueryLimitError(
                f"the query asks for {steps:,} points per series, more than max_points_per_series = "
                f"{self.max_points_per_series:,}: use a longer step or a shorter range"
            )

    def check_samples(self, samples: int) -> None:
        if samples > self.max_samples:
            raise QueryLimitError(
                f"the query needs {samples:,} samples in memory, more than max_samples = {self.max_samples:,}: "
                "select fewer series, or use a shorter range or a longer step"
            )

    def check_series(self, series: int) -> None:
        if series > self.max_series:
            raise QueryLimitError(
                f"the query selects more than max_series = {self.max_series:,} series: "
                "add label matchers to its selectors"
            )


class Cancellation:
    """Asked between any two pieces of work whether to go on. May be cancelled from another thread."""

    def __init__(self, timeout_ms: int | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._timeout_ms = timeout_ms
        self._started_s = self._clock.monotonic_s()
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def check(self) -> None:
        """
        Raises:
            QueryTimeoutError: the time is up.
            QueryError: nobody waits for the answer any more.
        """
        if self._cancelled:
            raise QueryError("the query was cancelled")
        if self._timeout_ms is not None:
            elapsed_ms = (self._clock.monotonic_s() - self._started_s) * 1000
            if elapsed_ms > self._timeout_ms:
                raise timed_out(self._timeout_ms)


def timed_out(timeout_ms: int) -> QueryTimeoutError:
    return QueryTimeoutError(
        f"the query took longer than its timeout of {timeout_ms / 1000:g} s: "
        "select fewer series, use a shorter range or a longer step, or record the expression with a rule"
    )
