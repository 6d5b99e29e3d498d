"""Moments as Go's JSON writes them."""

from __future__ import annotations

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"
"""A time that has not been."""


def rfc3339(milliseconds: int | None) -> str:
    if milliseconds is None:
        return NEVER
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
