"""Label values that come and go, such as users: at most so many at a time; who goes leaves a place to another."""

from __future__ import annotations

from threading import RLock

from trackside.instruments.measured import OVERFLOW

_LENGTH = 200


class Places:
    def __init__(self, limit: int, lock: RLock) -> None:
        self.lock = lock
        self._limit = limit
        self._taken: set[str] = set()

    def of(self, value: object) -> str:
        """The label; "(overflow)" while all places are taken by others."""
        text = str(value)[:_LENGTH]
        with self.lock:
            if text not in self._taken:
                if len(self._taken) >= self._limit:
                    return OVERFLOW
                self._taken.add(text)
            return text

    def known(self, value: object) -> str:
        """As `of`, but takes no place."""
        text = str(value)[:_LENGTH]
        return text if text in self._taken else OVERFLOW

    def free(self, value: object) -> str | None:
        """The label that is not needed any more; None when it had no place."""
        text = str(value)[:_LENGTH]
        with self.lock:
            if text not in self._taken:
                return None
            self._taken.remove(text)
            return text
