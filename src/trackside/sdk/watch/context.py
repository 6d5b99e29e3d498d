"""What an adapter gets to work with, besides the thing it instruments."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trackside.instruments.registry import Registry
from trackside.sdk.endpoints import Endpoints
from trackside.sdk.guard import Guard
from trackside.sdk.request_metrics import RequestMetrics

Owns = Callable[[str], bool]
"""Whether the application itself has a route with exactly this path."""


class WatchContext(NamedTuple):
    registry: Registry
    requests: RequestMetrics | None
    """None: metrics are off, so that nothing may be measured."""
    endpoints: Endpoints
    guard: Guard


def owns_nothing(path: str) -> bool:
    return False
