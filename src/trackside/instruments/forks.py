"""A fork while another thread has the lock of a registry would leave it locked in the child for ever."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from time import monotonic

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from threading import RLock
    from typing import Protocol

    class Locked(Protocol):
        lock: RLock


_TIMEOUT_S = 1.0
"""For all locks together: a fork waits no longer."""


class _Forks:
    """The locks of this process, held while its memory is copied: no other thread is in the middle of an update."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Locked] = weakref.WeakSet()
        self._held: list[RLock] = []
        self._missed: list[RLock] = []
        self._is_hooked = False

    def add(self, locked: Locked) -> None:
        self._all.add(locked)
        if not self._is_hooked and hasattr(os, "register_at_fork"):
            self._is_hooked = True
            os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._in_child)

    def _before(self) -> None:
        held: list[RLock] = []
        missed: list[RLock] = []
        until = monotonic() + _TIMEOUT_S
        for lock in self._locks():
            (held if lock.acquire(timeout=max(0.0, until - monotonic())) else missed).append(lock)
        self._held, self._missed = held, missed

    def _locks(self) -> list[RLock]:
        while True:
            try:
                return [locked.lock for locked in self._all]
            except RuntimeError:
                # Another thread has just made one.
                continue

    def _after(self) -> None:
        held, self._held, self._missed = self._held, [], []
        for lock in held:
            lock.release()

    def _in_child(self) -> None:
        missed = self._missed
        self._after()
        for lock in missed:
            # Whoever has it is not here. What it was in the middle of is lost, the child is not.
            with suppress(AttributeError):
                lock._at_fork_reinit()  # type: ignore[attr-defined]


# Of the process, as are the hooks: they cannot be taken back.
_forks = _Forks()
follow = _forks.add
