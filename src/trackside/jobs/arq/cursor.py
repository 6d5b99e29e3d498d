"""What one look at arq hands to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_VERSION = 1
_MAX_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Cursor:
    mark: str = ""
    round_ms: int = 0
    """When the last whole round through the results began."""
    first_ms: int = 0
    """What had ended before the first look of all is never told."""
    seen: dict[int, int] = field(default_factory=dict)
    """Checksums of ended jobs that were told, with their ends."""
    running: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Since when they were seen to run, and until when their lease was."""

    def as_json(self) -> dict[str, Any]:
        latest = sorted(self.seen.items(), key=lambda item: item[1])[-_MAX_SEEN:]
        return {
            "version": _VERSION,
            "mark": self.mark,
            "round_ms": self.round_ms,
            "first_ms": self.first_ms,
            "seen": [list(one) for one in latest],
            "running": {id: list(times) for id, times in self.running.items()},
        }


def cursor_of(value: Any) -> Cursor | None:
    """None: it makes no sense, and all begins anew."""
    try:
        if value["version"] != _VERSION:
            return None
        return Cursor(
            mark=str(value["mark"]),
            round_ms=int(value["round_ms"]),
            first_ms=int(value["first_ms"]),
            seen={int(checksum): int(at_ms) for checksum, at_ms in value["seen"]},
            running={str(id): (int(since), int(until)) for id, (since, until) in value["running"].items()},
        )
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return None
