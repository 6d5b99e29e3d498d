"""How late an event loop runs its callbacks: what blocks it delays every request, and shows nowhere else."""

from __future__ import annotations

import sys
import weakref
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from trackside.instruments.histogram import Histogram
from trackside.sdk.families.maker import Maker
from trackside.sdk.guard import Guard
from trackside.sdk.watch.context import WatchContext

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

INTERVAL_S = 0.5
"""Between two looks. What blocks a loop for as long is always seen, what blocks it a tenth as long every tenth time."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class EventLoops:
    """Of one monitor."""

    def __init__(self, context: WatchContext) -> None:
        self._guard = context.guard
        self._lag = Maker.of(context).histogram(
            "event_loop_lag_seconds", "How late the event loop ran a callback that was due.", buckets=BUCKETS
        )
        self._watched: weakref.WeakSet[AbstractEventLoop] = weakref.WeakSet()
        self._lock = Lock()

    @classmethod
    def of(cls, context: WatchContext) -> EventLoops:
        return context.shared.the(cls, lambda: cls(context))

    def watch(self, loop: AbstractEventLoop) -> None:
        """From any thread, running or not; the second time does nothing.

        Raises:
            RuntimeError: the loop is closed.
        """
        with self._lock:
            if loop in self._watched:
                return
            self._watched.add(loop)
        loop.call_soon_threadsafe(_Look(loop, self._lag, self._guard).schedule)

    def watch_running(self) -> None:
        """The loop that runs this, if asyncio does."""
        asyncio: Any = sys.modules.get("asyncio")
        if asyncio is None:
            return
        # Not everybody's loop is asyncio's.
        with self._guard.shielded("watch the event loop"), suppress(RuntimeError):
            self.watch(asyncio.get_running_loop())


class _Look:
    """A callback that calls itself again. The loop alone holds it, and drops it when it is closed."""

    __slots__ = ("_due_s", "_guard", "_lag", "_loop")

    def __init__(self, loop: AbstractEventLoop, lag: Histogram, guard: Guard) -> None:
        self._loop = loop
        self._lag = lag
        self._guard = guard
        self._due_s = 0.0

    def schedule(self) -> None:
        self._due_s = self._loop.time() + INTERVAL_S
        self._loop.call_at(self._due_s, self.look)

    def look(self) -> None:
        # A loop's clock has steps, of a millisecond in uvloop: a callback may come a little early by it.
        self._lag.observe(max(0.0, self._loop.time() - self._due_s))
        self.schedule()
