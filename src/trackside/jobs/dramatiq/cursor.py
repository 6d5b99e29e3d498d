"""What one look at dramatiq hands to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_VERSION = 1
_MAX_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Cursor:
    at_ms: int = 0
    queues: tuple[str, ...] = ()
    workers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Processes that were seen to have fetched something, and of which queues."""
    fetched: dict[str, int] = field(default_factory=dict)
    """Since when messages were seen in the hands of a worker."""
    seen: dict[int, int] = field(default_factory=dict)
    """Checksums of dead letters that were told, with their times."""

    def as_json(self) -> dict[str, Any]:
        latest = sorted(self.seen.items(), key=lambda item: item[1])[-_MAX_SEEN:]
        return {
            "version": _VERSION,
            "at_ms": self.at_ms,
            "queues": list(self.queues),
            "workers": {id: list(queues) for id, queues in self.workers.items()},
            "fetched": self.fetched,
            "seen": [list(one) for one in latest],
        }


def cursor_of(value: Any) -> Cursor | None:
    """None: it makes no sense, and all begins anew."""
    try:
        if value["version"] != _VERSION:
            return None
        return Cursor(
            at_ms=int(value["at_ms"]),
            queues=tuple(str(name) for name in value["queues"]),
            workers={str(id): tuple(str(name) for name in queues) for id, queues in value["workers"].items()},
            fetched={str(id): int(at_ms) for id, at_ms in value["fetched"].items()},
            seen={int(checksum): int(at_ms) for checksum, at_ms in value["seen"]},
        )
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return None
