"""Sessions: how many began, ended, and are going on."""

from __future__ import annotations

from trackside.sdk.families.block import Block, End
from trackside.sdk.families.maker import Maker


class Sessions:
    """One for a monitor."""

    def __init__(self, make: Maker) -> None:
        self._active = make.gauge("active_sessions", "Sessions that are going on.")
        self._created = make.counter("sessions_created_total", "Sessions that began.")
        self._ended = make.counter("sessions_ended_total", "Sessions that ended.")
        self._guard = make.guard

    def created(self) -> None:
        self._created.inc()
        self._active.inc()

    def ended(self) -> None:
        self._ended.inc()
        self._active.dec()

    def track(self) -> Block:
        """A block or function that is a session."""

        def begin() -> End:
            self.created()
            return lambda error: self.ended()

        return Block(self._guard, begin)
