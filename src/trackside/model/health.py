"""Health reports: what the checks of a service said."""

from __future__ import annotations

from trackside.model.cheap_typing import NamedTuple

SERVING, STARTING, DRAINING = "serving", "starting", "draining"


class CheckResult(NamedTuple):
    name: str
    healthy: bool
    duration_s: float
    error: str = ""
    critical: bool = True
    """Whether a failure makes the service not ready."""


class HealthReport(NamedTuple):
    results: tuple[CheckResult, ...]
    phase: str = SERVING
    """Of the life of the process: it gets no requests unless it is serving, and needs no restart for that."""

    @property
    def healthy(self) -> bool:
        return self.phase == SERVING and all(result.healthy for result in self.results if result.critical)
