"""Sends what waits of logs, errors and traces, before a process ends in a way that runs nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from trackside.sdk.guard import Guard
from trackside.sdk.push.background import EXIT_TIMEOUT_S, Background, Wait, all_tried, come_first_at_exit
from trackside.sdk.watch.context import WatchContext

Flush = Callable[[float], bool]
"""Of the seconds it may take. Whether all was tried within them."""

_IDLE_S = 3600.0


class Flushing:
    """One for a monitor. Its parts join when they are set up; of the others nothing waits."""

    def __init__(self, context: WatchContext) -> None:
        self._guard = context.guard
        self._asks: list[Callable[[], Wait]] = []
        self._clients: list[_Client] = []

    @classmethod
    def of(cls, context: WatchContext) -> Flushing:
        return context.shared.the(cls, lambda: cls(context))

    def add(self, flush: Flush) -> None:
        """One that blocks. What it does by itself when the process ends comes after what is done here."""
        if all(client.flush != flush for client in self._clients):
            self._clients.append(_Client(flush, self._guard))
            come_first_at_exit()

    def add_asked(self, ask: Callable[[], Wait]) -> None:
        """One that has a thread of its own, and need only be asked."""
        if ask not in self._asks:
            self._asks.append(ask)

    def flush(self, timeout_s: float, also: Iterable[Callable[[], Wait]] = ()) -> bool:
        """All side by side, in one time."""
        until_s = monotonic() + timeout_s
        waits = [ask() for ask in (*also, *self._asks)]
        waits += [client.ask(timeout_s) for client in self._clients]
        return all_tried(waits, until_s)


class _Client:
    """Another project's, whose flushing blocks: on a thread that is there before it is needed, since none can be had
    any more when a process ends."""

    def __init__(self, flush: Flush, guard: Guard) -> None:
        self.flush = flush
        self._guard = guard
        self._timeout_s = EXIT_TIMEOUT_S
        self._all_tried = False
        self._background = Background(self, "trackside-flush")
        self._background.start()

    def ask(self, timeout_s: float) -> Wait:
        self._timeout_s, self._all_tried = timeout_s, False
        # In a child process there is none yet.
        self._background.start(at_once=True)
        wait = self._background.ask()
        return lambda until_s: wait(until_s) and self._all_tried

    def round(self, *, at_once: bool = False) -> None:
        if at_once:
            self._all_tried = self.flush(self._timeout_s)
            self._timeout_s = EXIT_TIMEOUT_S

    def wait_s(self) -> float:
        return _IDLE_S

    def holds(self) -> bool:
        return False

    def failed(self, error: Exception) -> None:
        self._guard.failed("flush", error)

    def in_child(self, *, ran: bool) -> None:
        return None
