"""What an adapter gets to work with, besides the thing it instruments."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TypeVar, cast

from trackside.instruments.registry import Registry
from trackside.model.cheap_typing import NamedTuple
from trackside.sdk.endpoints import Endpoints
from trackside.sdk.guard import Guard
from trackside.sdk.settings import Settings

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.request_metrics import RequestMetrics

T = TypeVar("T")

Owns = Callable[[str], bool]
"""Whether the application itself has a route with exactly this path."""


class Shared:
    """What the adapters of one monitor have in common, such as the families of all databases: made at first need, so
    that an application without a database shows none of them."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._made: dict[type, object] = {}

    def the(self, kind: type[T], make: Callable[[], T]) -> T:
        """The only one of its kind."""
        with self._lock:
            if kind not in self._made:
                self._made[kind] = make()
            return cast(T, self._made[kind])


def nothing() -> None:
    return None


class Pushing(NamedTuple):
    """How an adapter of workers tells the push what it knows of processes."""

    flush: Callable[[], object] = nothing
    """This process ends in a way that runs nothing more: send what there is."""
    stop: Callable[[], object] = nothing
    """Another process reports what is counted in this one."""


class WatchContext(NamedTuple):
    registry: Registry
    requests: RequestMetrics | None
    """None: metrics are off, so that nothing may be measured."""
    endpoints: Endpoints
    guard: Guard
    shared: Shared
    prefix: str = ""
    """Before the name of every family: "railgun_"."""
    slow_query_s: float = 1.0
    """A query that takes as long is logged; 0 logs none."""
    pushing: Pushing = Pushing()
    service: str = ""
    settings: Settings = Settings()


def owns_nothing(path: str) -> bool:
    return False
