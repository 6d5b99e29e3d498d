"""What the last scrape of a target said: the facts the targets API and page show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trackside.model.labels import Labels


class TargetHealth(Enum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TargetStatus:
    scrape_pool: str
    scrape_url: str
    labels: Labels
    discovered_labels: Labels
    health: TargetHealth = TargetHealth.UNKNOWN
    last_error: str = ""
    """Why the last scrape failed, in a sentence for whoever can act."""
    last_scrape_ms: int | None = None
    last_scrape_s: float = 0.0
    samples: int = 0
    interval_ms: int = 15_000
    timeout_ms: int = 10_000
