"""Keeps the values of a label few, whatever the application does."""

from __future__ import annotations

from threading import Lock

from trackside.instruments.measured import OVERFLOW


class Bounded:
    """Gives the first texts back as they are, and "(overflow)" for those that come after them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()
        self._lock = Lock()

    def __contains__(self, text: object) -> bool:
        return text in self._known

    def of(self, text: str) -> str:
        if text in self._known:
            return text
        with self._lock:
            if len(self._known) >= self._limit and text not in self._known:
                return OVERFLOW
            self._known.add(text)
            return text
