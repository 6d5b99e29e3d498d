"""What goes wrong in the demo, and when: soon after the start, and then every few minutes."""

from __future__ import annotations

from dataclasses import dataclass

AGAIN_AFTER_S = 240.0


@dataclass(frozen=True, slots=True)
class Incident:
    begins_s: float
    """After the start, and after each AGAIN_AFTER_S."""
    lasts_s: float

    def left_s(self, elapsed_s: float) -> float:
        """How long it still goes on; 0 when it does not."""
        into_s = elapsed_s % AGAIN_AFTER_S - self.begins_s
        return self.lasts_s - into_s if 0 <= into_s < self.lasts_s else 0.0


CONSUMER_HANGS = Incident(15, 20)
NETWORK_IS_DOWN = Incident(42, 16)
"""No relay reaches the server."""
