"""The instruments of an application whose metrics are off: everything can be called, nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


class NoTimer:
    """Where a `with` block or a decorated function would be timed or counted."""

    __slots__ = ()

    def __enter__(self) -> NoTimer:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __call__(self, function: T) -> T:
        return function


class NoInstrument:
    """A counter, gauge and histogram in one, and each of their children."""

    __slots__ = ()

    def labels(self, *values: object, **named: object) -> NoInstrument:
        return self

    def inc(self, amount: float = 1.0) -> None:
        return None

    def dec(self, amount: float = 1.0) -> None:
        return None

    def set(self, value: float) -> None:
        return None

    def set_to_current_time(self) -> None:
        return None

    def set_function(self, function: Callable[[], float]) -> None:
        return None

    def observe(self, value: float) -> None:
        return None

    def track_inprogress(self) -> NoTimer:
        return NO_TIMER

    def time(self) -> NoTimer:
        return NO_TIMER

    def preset(self, *label_sets: object) -> None:
        return None

    def remove(self, *values: object) -> None:
        return None

    def clear(self) -> None:
        return None


NO_TIMER = NoTimer()
NO_INSTRUMENT = NoInstrument()
