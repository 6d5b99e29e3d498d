"""What a rule did last: the facts the rules API and the pages show."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.model.alerts import Alert
from trackside.model.labels import Labels

SHIPPED = "(shipped)"
"""How the `file` of a group begins that comes with the server."""


@dataclass(frozen=True, slots=True)
class RuleStatus:
    name: str
    """The alert's name, or the name of the series a recording rule writes."""
    kind: str
    """Either "alerting" or "recording"."""
    query: str
    labels: Labels
    annotations: Labels = Labels(())
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    health: str = "unknown"
    """One of "ok", "err", "unknown" (never evaluated)."""
    last_error: str = ""
    last_evaluation_ms: int | None = None
    evaluation_s: float = 0.0
    alerts: tuple[Alert, ...] = ()
    """Pending and firing ones."""


@dataclass(frozen=True, slots=True)
class RuleGroupStatus:
    name: str
    file: str
    interval_ms: int
    rules: tuple[RuleStatus, ...]
    last_evaluation_ms: int | None = None
    evaluation_s: float = 0.0
    limit: int = 0
