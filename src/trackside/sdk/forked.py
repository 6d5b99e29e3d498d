"""What begins anew in a process that was forked, for as long as it is there."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class BeginsAnew(Protocol):
    def in_child(self) -> None:
        """This process was forked: threads, and who had a lock, are not in it."""


class _Forked:
    """Its hook cannot be taken back: there is one, and it keeps nothing alive."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[BeginsAnew] = weakref.WeakSet()
        self._is_hooked = False

    def add(self, one: BeginsAnew) -> None:
        self._all.add(one)
        if not self._is_hooked:
            self._is_hooked = True
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        # No other thread is there that could make one meanwhile.
        for one in list(self._all):
            one.in_child()


# Of the process.
_forked = _Forked()
begin_anew_in_child = _forked.add
