"""Moments in forms, as browsers write and read them: in UTC, without saying so."""

from __future__ import annotations

from datetime import UTC, datetime


def moment_ms(text: str) -> int:
    """
    Raises:
        ValueError: it is no moment.
    """
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise ValueError("expected a day and a time, such as 2026-03-01T22:00") from error


def for_input(at_ms: int, timespec: str = "minutes") -> str:
    """`timespec`: how fine the field is, "minutes" or "seconds"."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None).isoformat(timespec=timespec)
