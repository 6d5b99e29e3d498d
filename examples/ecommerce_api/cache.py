"""A cache in memory whose entries live for some seconds, and which counts its hits and misses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ecommerce_api.monitoring import monitor

ValueT = TypeVar("ValueT")

MOST_ENTRIES = 1_000


class Cache(Generic[ValueT]):
    def __init__(self, name: str, keep_s: float) -> None:
        self._keep_s = keep_s
        self._entries: dict[object, tuple[float, ValueT]] = {}
        self._measured = monitor.cache(name)

    def get(self, key: object, make: Callable[[], ValueT]) -> ValueT:
        """What was kept under `key`, else what `make` returns, from now on kept."""
        now_s = time.monotonic()
        kept_at_s, value = self._entries.get(key, (-self._keep_s, None))
        if value is not None and now_s - kept_at_s < self._keep_s:
            self._measured.hit()
            return value
        self._measured.miss()
        made = make()
        if len(self._entries) >= MOST_ENTRIES:
            self._entries.clear()
        self._entries[key] = (now_s, made)
        return made
