"""What goes wrong in the demo, and when: one thing after the other, soon after the start and then every few minutes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CLOCK = os.environ.get("TROUBLE_CLOCK", "")
"""A file as old as the demo, for all of its processes. Without it nothing goes wrong that nobody has broken."""
FIRST_S = 8.0
"""Late enough for a chart of calm before it."""
AGAIN_AFTER_S = 240.0


@dataclass(frozen=True, slots=True)
class Incident:
    begins_s: float
    """After FIRST_S, and after each AGAIN_AFTER_S."""
    lasts_s: float

    def is_on(self, elapsed_s: float) -> bool:
        """At this many seconds after the start."""
        since_s = elapsed_s - FIRST_S
        return since_s >= 0 and 0 <= since_s % AGAIN_AFTER_S - self.begins_s < self.lasts_s

    def is_on_now(self) -> bool:
        if _CLOCK:
            with suppress(FileNotFoundError):
                return self.is_on(time.time() - Path(_CLOCK).stat().st_mtime)
        return False


SLOWNESS = Incident(0, 16)
"""The list of direct messages has lost its index."""
ERRORS = Incident(6, 22)
"""A release that cannot search."""
MEMORY = Incident(16, 20)
"""Somebody keeps attachments in Redis for ever."""
CONNECTIONS = Incident(22, 18)
"""Somebody's reports open connections to the database and never close them."""


def begin() -> None:
    """The first users are there: a start that takes long must not eat up the calm before the trouble."""
    if _CLOCK:
        with suppress(FileExistsError):
            Path(_CLOCK).touch(exist_ok=False)
