"""What counters, gauges and histograms share: children by label values, kept, capped, and never raising once made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from threading import RLock
from typing import Generic, Protocol, TypeVar

from trackside.instruments.measured import OVERFLOW, Description, LabelValues, Raw, ReportError, Row


class Child(Protocol):
    def raw(self) -> Raw | None:
        """Its values of this moment; None when they cannot be had now."""
        ...


ChildT = TypeVar("ChildT", bound=Child)


class Instrument(ABC, Generic[ChildT]):
    """A family whose values the application sets. Made by a registry, which gives equal ones out once.

    Making one with bad names raises; using one never does: what cannot be counted is counted as an internal error.
    """

    def __init__(self, description: Description, lock: RLock, report: ReportError, max_series: int) -> None:
        # Re-entrant: a signal handler or finalizer that counts while its thread has the lock must not wait for itself.
        self._lock = lock
        self._report = report
        self._children: dict[LabelValues, ChildT] = {}
        self._overflow: ChildT | None = None
        self.description = description
        self.max_series = max_series
        """Label sets beyond it share one series, whose labels all say "(overflow)"."""
        if not description.label_names:
            self.labels()

    @abstractmethod
    def _new_child(self) -> ChildT: ...

    def labels(self, *values: object, **named: object) -> ChildT:
        """The child of these label values, by position or by name. A wrong number of values or a wrong name gives a
        child that is never shown."""
        if not named:
            try:
                # Only tuples of text are kept, so whatever is equal to one has the same text.
                child = self._children.get(values)  # type: ignore[arg-type]
            except Exception:  # noqa: BLE001 - values of a foreign type may refuse to be hashed or compared
                child = None
            if child is not None:
                return child
        try:
            return self._child(self._texts(values, named))
        except Exception:  # noqa: BLE001 - a wrong label must not fail the request that is being counted
            self._report("labels")
            return self._new_child()

    def preset(self, *label_sets: Iterable[object]) -> None:
        """Show these label sets from the start, with nothing counted, so that their first increase is seen."""
        for values in label_sets:
            self.labels(*values)

    def remove(self, *values: object) -> None:
        """Stop showing one label set. Who kept its child goes on counting unseen."""
        try:
            self._children.pop(self._texts(values, {}), None)
        except Exception:  # noqa: BLE001 - see `labels`
            self._report("labels")

    def clear(self) -> None:
        with self._lock:
            self._children.clear()
            self._overflow = None
        if not self.description.label_names:
            self.labels()

    def rows(self) -> list[Row]:
        with self._lock:
            children = list(self._children.items())
            if self._overflow is not None:
                children.append(((OVERFLOW,) * len(self.description.label_names), self._overflow))
        found = []
        for values, child in children:
            raw = child.raw()
            if raw is not None:
                found.append((values, raw))
        return found

    def _texts(self, values: tuple[object, ...], named: dict[str, object]) -> LabelValues:
        names = self.description.label_names
        if named:
            if values or len(named) != len(names):
                raise ValueError
            values = tuple(named[name] for name in names)
        elif len(values) != len(names):
            raise ValueError
        return tuple(map(_text, values))

    def _child(self, texts: LabelValues) -> ChildT:
        with self._lock:
            child = self._children.get(texts)
            if child is not None:
                return child
            if len(self._children) < self.max_series or not texts:
                return self._children.setdefault(texts, self._new_child())
            if self._overflow is None:
                self._overflow = self._new_child()
            return self._overflow


def _text(value: object) -> str:
    # A str enumeration is equal to its text but prints otherwise: take the text, as a look-up does.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    # Half a surrogate pair (undecodable bytes of a path) cannot be written as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
