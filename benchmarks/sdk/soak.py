"""A hundred threads count for a minute, while scrapes go on: whether an update is lost, or a counter ever goes back.

python benchmarks/sdk/soak.py                 a minute
python benchmarks/sdk/soak.py --for 10        less
python benchmarks/sdk/soak.py --kill          worker processes that count, and are killed over and over
exit 1 when one was lost or went back
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, MutableMapping
from threading import Event, Thread
from typing import Any

from kills import kill_for

from trackside import Monitor

THREADS = 100
_PER_TURN = 50


class Load:
    """What the threads count into, and how much they did."""

    def __init__(self) -> None:
        self.monitor = Monitor("soak", environ={})
        self.counter = self.monitor.counter("soak_orders_total")
        self.labelled = self.monitor.counter("soak_kinds_total", labels=("kind",))
        self.gauge = self.monitor.gauge("soak_running")
        self.histogram = self.monitor.histogram("soak_latency_seconds", labels=("kind",))
        self.app: Any = self.monitor.watch(_app)
        self.done = [0] * THREADS
        self.over = Event()

    def work(self, number: int) -> None:
        """One thread."""
        turn = 0
        while not self.over.is_set():
            turn += 1
            for each in range(_PER_TURN):
                kind = str((number + each + turn) % 7)
                self.counter.inc()
                self.labelled.labels(kind).inc()
                self.gauge.inc(2)
                self.gauge.dec()
                self.histogram.labels(kind).observe(0.25)
            asyncio.run(self._ask(_PER_TURN))
            self.done[number] += _PER_TURN

    async def _ask(self, count: int) -> None:
        for number in range(count):
            scope = {"type": "http", "method": "GET", "path": f"/{number}", "root_path": "", "headers": []}
            await self.app(scope, _receive, _send)

    def totals(self) -> dict[str, float]:
        names = (
            "soak_orders_total",
            "soak_kinds_total",
            "soak_running",
            "soak_latency_seconds_count",
            "http_requests_total",
            "http_request_duration_seconds_count",
        )
        found = dict.fromkeys(names, 0.0)
        for family in self.monitor.registry.collect():
            for sample in family.samples:
                if sample.name in found:
                    found[sample.name] += sample.value
        return found


async def _app(scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: object) -> None:
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--for", "--seconds", dest="seconds", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--kill", action="store_true", help="processes instead of threads")
    args = parser.parse_args()
    if args.kill:
        return kill_for(args.seconds)
    load, back, scrapes = Load(), 0, 0
    # The interpreter changes threads as often as it can.
    sys.setswitchinterval(1e-6)
    threads = [Thread(target=load.work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    ends_s, before = time.monotonic() + args.seconds, load.totals()
    while time.monotonic() < ends_s:
        time.sleep(0.2)
        now = load.totals()
        # The gauge goes up by two and down by one.
        back += sum(now[name] < before[name] for name in now if name != "soak_running")
        before, scrapes = now, scrapes + 1
    load.over.set()
    for thread in threads:
        thread.join()
    done = float(sum(load.done))
    lost = {name: done - value for name, value in load.totals().items() if value != done}
    print(f"{THREADS} threads, {done:,.0f} updates of each, {scrapes} scrapes: lost {lost or 'none'}, went back {back}")
    return 1 if lost or back else 0


if __name__ == "__main__":
    sys.exit(main())
