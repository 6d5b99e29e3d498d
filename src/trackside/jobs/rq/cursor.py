"""What one look at RQ hands to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_SEEN = 10_000
_VERSION = 1


@dataclass(frozen=True, slots=True)
class WorkerBefore:
    succeeded: int
    failed_attempts: int
    expected_ms: int | None
    skew_s: float | None
    started_ms: int | None
    """Another worker may take the name of one that is gone."""


@dataclass(frozen=True, slots=True)
class Cursor:
    at_ms: int
    workers: dict[str, WorkerBefore] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    """Checksums of ended jobs, with the time of their end: a window is looked at more than once."""
    lifetimes_s: dict[str, list[int]] = field(default_factory=dict)
    """By key of a registry: how long its jobs are kept there, as far as known."""
    sizes: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        latest = sorted(self.seen.items(), key=lambda item: item[1])[-MAX_SEEN:]
        return {
            "version": _VERSION,
            "at_ms": self.at_ms,
            "workers": {
                name: [one.succeeded, one.failed_attempts, one.expected_ms, one.skew_s, one.started_ms]
                for name, one in self.workers.items()
            },
            "seen": latest,
            "lifetimes_s": self.lifetimes_s,
            "sizes": self.sizes,
        }


def cursor_of(value: Any) -> Cursor | None:
    """None: it makes no sense, and all begins anew."""
    try:
        if value["version"] != _VERSION:
            return None
        return Cursor(
            at_ms=int(value["at_ms"]),
            workers={
                str(name): WorkerBefore(
                    int(succeeded),
                    int(failed),
                    None if expected is None else int(expected),
                    None if skew is None else float(skew),
                    None if started is None else int(started),
                )
                for name, (succeeded, failed, expected, skew, started) in value["workers"].items()
            },
            seen={int(checksum): int(at_ms) for checksum, at_ms in value["seen"]},
            lifetimes_s={str(key): [int(one) for one in found] for key, found in value["lifetimes_s"].items()},
            sizes={str(key): int(size) for key, size in value["sizes"].items()},
        )
    except (TypeError, ValueError, LookupError, AttributeError):
        return None
