"""Remembers what is watched already, without keeping it alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from threading import RLock


class Watched:
    def __init__(self) -> None:
        # Re-entrant: a reference may die, and be forgotten, while this thread adds another.
        self._lock = RLock()
        # By identity: applications may compare equal, or refuse to be hashed.
        self._found: dict[int, tuple[weakref.ref[object], Callable[[], object | None]]] = {}

    def once(self, thing: object, watch: Callable[[], object]) -> object:
        """What stands for `thing`: from the last time, or from `watch`."""
        with self._lock:
            reference, result = self._found.get(id(thing), (None, None))
            known = result() if result is not None and reference is not None and reference() is thing else None
            if known is None:
                known = watch()
                self._remember(thing, known)
                self._remember(known, known)
            return known

    def _remember(self, thing: object, result: object) -> None:
        key = id(thing)

        def forget(dead: object) -> None:
            with self._lock:
                if key in self._found and self._found[key][0] is dead:
                    del self._found[key]

        try:
            self._found[key] = weakref.ref(thing, forget), weakref.ref(result)
        except TypeError:
            # No weak references to this type: kept for good, as applications are.
            self._found[key] = (lambda: thing), (lambda: result)  # type: ignore[assignment]
