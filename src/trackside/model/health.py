"""Health reports: what the checks of a service said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    healthy: bool
    duration_s: float
    error: str = ""
    critical: bool = True
    """Whether a failure makes the service not ready."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    results: tuple[CheckResult, ...]

    @property
    def healthy(self) -> bool:
        return all(result.healthy for result in self.results if result.critical)
