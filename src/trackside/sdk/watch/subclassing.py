"""Instruments one object by giving it a class derived from its own, for clients that have no hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Derive = Callable[[Any], Any]
"""A class that overrides methods of the given one. It needs `__slots__ = ()`, to be of the same layout."""


class Subclasses:
    """Derives from each class once. Rather than functions set on the object: those would refer to it and be referred
    to by it, so that it would be freed late, and many clients give their connections back when they are freed."""

    def __init__(self, derive: Derive) -> None:
        self._derive = derive
        self._made: dict[type, type] = {}
        self._ours: set[type] = set()

    def put_on(self, thing: object) -> None:
        """The second time does nothing.

        Raises:
            TypeError: the object cannot be of another class, as those of extension modules.
        """
        thing.__class__ = self.derived(type(thing))

    def derived(self, cls: type) -> type:
        if cls in self._ours:
            return cls
        ours = self._made.get(cls)
        if ours is None:
            ours = self._derive(cls)
            # Representations and logs show the class: it is still that of the library.
            ours.__name__, ours.__qualname__, ours.__module__ = cls.__name__, cls.__qualname__, cls.__module__
            self._made[cls] = ours
            self._ours.add(ours)
        return ours
