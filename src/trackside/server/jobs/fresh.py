"""Answers that cost something, kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """For one thread at a time."""

    def __init__(self, ask: Callable[[int], T], kept_ms: int) -> None:
        """`ask`: is given the time."""
        self._ask = ask
        self._kept_ms = kept_ms
        self._known: tuple[int, T] | None = None

    def at(self, now_ms: int) -> T:
        if self._known is None or not 0 <= now_ms - self._known[0] < self._kept_ms:
            self._known = (now_ms, self._ask(now_ms))
        return self._known[1]
