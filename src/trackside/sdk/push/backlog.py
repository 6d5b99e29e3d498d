"""What waits until the thread that sends it comes by: bounded in number and size; the oldest go, and are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import Generic, TypeVar

MAX_ITEMS = 10_000
MAX_SIZE = 16 * 1024 * 1024

T = TypeVar("T")


class Backlog(Generic[T]):
    """What happens now is what one will ask for: so the oldest go when there is no room."""

    def __init__(self, size: Callable[[T], int], dropped: Callable[[int], object]) -> None:
        """`size` is that of one item in characters. `dropped` is told how many there was no room for."""
        self._size = size
        self._dropped = dropped
        self.clear()

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        self._items: deque[T] = deque()
        self._total = 0
        # Re-entrant, for signal handlers that log. A new one, since after a fork nobody might give the old one back.
        self._lock = RLock()

    def add(self, item: T) -> None:
        dropped = 0
        with self._lock:
            self._items.append(item)
            self._total += self._size(item)
            while len(self._items) > MAX_ITEMS or (self._total > MAX_SIZE and len(self._items) > 1):
                self._total -= self._size(self._items.popleft())
                dropped += 1
        if dropped:
            self._dropped(dropped)

    def take(self, most: int = 1, room: float = float("inf")) -> list[T]:
        """The oldest, as far as they fit in `room`."""
        taken: list[T] = []
        with self._lock:
            while self._items and len(taken) < most and (room := room - self._size(self._items[0])) >= 0:
                taken.append(self._items.popleft())
                self._total -= self._size(taken[-1])
        return taken
