"""Worker processes that are killed over and over while all are scraped: whether a counter ever goes back, or loses more
than the one update that a killed process was in the middle of."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from collections.abc import Callable

from trackside import Monitor

WORKERS = 4


class Killing:
    def __init__(self) -> None:
        self.monitor = Monitor("kills", environ={})
        self.counter = self.monitor.counter("soak_orders_total", labels=("kind",))
        self.histogram = self.monitor.histogram("soak_latency_seconds", labels=("kind",))
        # What each has counted, in memory that outlives them all.
        self._books = memoryview(mmap.mmap(-1, 8_000_000)).cast("Q")
        self._pages = 0
        self._last: dict[str, float] = {}
        self.kills = self.scrapes = self.back = 0

    def start(self) -> int:
        page, self._pages = self._pages, self._pages + 1
        pid = os.fork()
        if pid == 0:
            try:
                self._count(page)
            finally:
                os._exit(1)
        return pid

    def _count(self, page: int) -> None:
        turn = 0
        while True:
            kind, turn = str((page + turn) % 100), turn + 1
            self.counter.labels(kind).inc()
            self.histogram.labels(kind).observe(0.25)
            self._books[page] += 1
            if turn % 100 == 0:
                time.sleep(0.001)

    def end(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.kills += 1

    def scrape(self) -> None:
        lines = (line.rpartition(" ") for line in self.monitor.exposition().decode().splitlines())
        found = {name: float(value) for name, _, value in lines if name.startswith("soak_")}
        self.back += sum(found.get(name, -1.0) < was for name, was in self._last.items())
        self._last, self.scrapes = found, self.scrapes + 1

    def lost(self) -> dict[str, float]:
        """By name, how many updates fewer there are than were counted, or more than the killed may not have booked."""
        booked = float(sum(self._books))
        found = {}
        for name in ("soak_orders_total", "soak_latency_seconds_count"):
            counted = sum(value for series, value in self._last.items() if series.startswith(name + "{"))
            if not booked <= counted <= booked + self.kills:
                found[name] = booked - counted
        return found


def kill_for(seconds: float, say: Callable[[str], object] = print) -> int:
    killing, chance = Killing(), random.Random(1)
    workers = [killing.start() for _ in range(WORKERS)]
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        time.sleep(chance.uniform(0, 0.05))
        at = chance.randrange(WORKERS)
        killing.end(workers[at])
        workers[at] = killing.start()
        for _ in range(chance.randrange(3)):
            killing.scrape()
    for pid in workers:
        killing.end(pid)
    killing.scrape()
    lost = killing.lost()
    say(f"{killing.kills} kills, {killing.scrapes} scrapes: lost {lost or 'none'}, went back {killing.back}")
    return 1 if lost or killing.back else 0
