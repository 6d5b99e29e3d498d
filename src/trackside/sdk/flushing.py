"""Sends what waits of logs, errors and traces, before a process ends in a way that runs nothing more."""

from __future__ import annotations

from collections.abc import Callable

from trackside.sdk.watch.context import WatchContext

Flush = Callable[[float], bool]
"""Of the seconds it may take. Whether all was tried within them."""


class Flushing:
    """One for a monitor. Its parts join when they are set up; of the others nothing waits."""

    def __init__(self, context: WatchContext) -> None:
        self._guard = context.guard
        self._parts: list[Flush] = []

    @classmethod
    def of(cls, context: WatchContext) -> Flushing:
        return context.shared.the(cls, lambda: cls(context))

    def add(self, flush: Flush) -> None:
        if flush not in self._parts:
            self._parts.append(flush)

    def flush(self, timeout_s: float) -> bool:
        done = True
        for part in self._parts:
            ok = False
            with self._guard.shielded("flush"):
                ok = part(timeout_s)
            done = ok and done
        return done
