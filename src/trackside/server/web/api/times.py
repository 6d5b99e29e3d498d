"""Moments as Go's JSON writes them."""

from __future__ import annotations

from trackside.model import moments

NEVER = "0001-01-01T00:00:00Z"
"""A time that has not been."""


def rfc3339(milliseconds: int | None) -> str:
    if milliseconds is None:
        return NEVER
    return moments.rfc3339(milliseconds)
