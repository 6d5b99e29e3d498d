"""Everything periodic is a tick(now_ms); this is the only module that decides when to call it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from trackside.server.clock import Clock

Tick = Callable[[int], Awaitable[int | None]]
"""Called with the time; when to be called next, should that be before an interval is over."""

_log = logging.getLogger("trackside.server")


@dataclass(slots=True, eq=False)
class Entry:
    """A tick and when it is due. Held by whoever may want to cancel it."""

    interval_ms: int
    tick: Tick
    due_ms: int
    task: asyncio.Task[None] | None = field(default=None)


class Schedule:
    """Driven either by `run_due`, with a clock in the test's hand, or by `start`, on the real one."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._clock: Clock | None = None
        self.failures_total = 0

    def every(self, interval_ms: int, tick: Tick, *, first_ms: int = 0) -> Entry:
        """Call `tick` each `interval_ms`, first at `first_ms` (at once, when that is past).

        On the real clock each entry has a task of its own, so that a slow target cannot delay a rule.
        """
        entry = Entry(interval_ms, tick, first_ms)
        self._entries.append(entry)
        if self._clock is not None:
            entry.task = asyncio.create_task(self._run(entry, self._clock))
        return entry

    def cancel(self, entry: Entry) -> None:
        if entry in self._entries:
            self._entries.remove(entry)
        if entry.task is not None:
            entry.task.cancel()

    async def run_due(self, now_ms: int) -> None:
        """Run each overdue tick once, in the order they were added.

        A tick that was late by several intervals runs once, not several times: what was missed is a
        gap in the data, and pretending otherwise would write samples with invented timestamps.
        """
        for entry in list(self._entries):
            if entry.due_ms <= now_ms:
                _advance(entry, now_ms)
                await self._call(entry, now_ms)

    def start(self, clock: Clock) -> None:
        self._clock = clock
        for entry in self._entries:
            entry.task = asyncio.create_task(self._run(entry, clock))

    async def stop(self) -> None:
        """Cancel all ticks and wait until none runs."""
        self._clock = None
        tasks = [entry.task for entry in self._entries if entry.task is not None]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, entry: Entry, clock: Clock) -> None:
        while True:
            # At most a second at a time: a clock that is set back must not put an entry to sleep for an hour.
            while (wait_ms := entry.due_ms - clock.now_ms()) > 0:
                if wait_ms > 2 * entry.interval_ms and entry.due_ms > 0:
                    entry.due_ms = clock.now_ms() + entry.interval_ms
                await asyncio.sleep(min(wait_ms, 1_000) / 1_000)
            now_ms = clock.now_ms()
            _advance(entry, now_ms)
            await self._call(entry, now_ms)
            # A tick that waits for nothing and is always late must not keep the loop from everyone else.
            await asyncio.sleep(0)

    async def _call(self, entry: Entry, now_ms: int) -> None:
        try:
            sooner_ms = await entry.tick(now_ms)
            if sooner_ms is not None:
                entry.due_ms = min(entry.due_ms, max(sooner_ms, now_ms + 1))
        except Exception:  # noqa: BLE001 - one subsystem must not stop the others; counted, and shown on /metrics
            self.failures_total += 1
            _log.exception("a periodic task failed; it will be tried again in %d ms", entry.interval_ms)


def _advance(entry: Entry, now_ms: int) -> None:
    entry.due_ms = now_ms - (now_ms - entry.due_ms) % entry.interval_ms + entry.interval_ms
