"""What counting and scraping cost where several processes serve one application, beside prometheus_client's files.

    python benchmarks/sdk/workers_cost.py                 tables
    python benchmarks/sdk/workers_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/workers_cost.py --check         exit 1 when a promise does not hold

How it measures: counting in processes that take turns, one of several workers beside one that is alone. Scraping in
one of eight that all have the same families, twice: ours, and prometheus_client's under PROMETHEUS_MULTIPROC_DIR, which
`MultiProcessCollector` reads. Only those families are written, since the latter shows no metrics of the processes.
Before each round every process changes a tenth of its label sets; then the same process is scraped in both ways, CPU
time of the thread, medians.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from contestants import BARE, BARE_AGAIN, TRACKSIDE, TRACKSIDE_SHARED, null_contestant
from promise import Promise, arguments, finished
from request_cost import built
from turns import Row, Runner, measured
from turns import table as counting_table

from trackside.instruments.histogram import DEFAULT_BUCKETS
from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.instruments.shared.joining import share
from trackside.wire import exposition
from trackside.wire.numbers import format_value

OF_SINGLE_PROCESS = 1.1
TIMES_FASTER = 30.0
PROCESSES = 8
CHANGED_ONE_IN = 10
_CLIENT = "prometheus_client"
_CLIENT_SHARED = "prometheus_client, one of several workers"
_WHERE_REQUEST = "a request, the middleware alone"
_LABELS = ("method", "path", "status")
_HISTOGRAMS, _COUNTERS, _GAUGES = 700, 3_000, 3_000
_SERIES = _HISTOGRAMS * (len(DEFAULT_BUCKETS) + 3) + _COUNTERS + _GAUGES
_CHANGING = "a tenth of the label sets changed"

Change = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Scrape:
    what: str
    theirs_ms: float
    ours_ms: float


def counting(name: str, instrument: str) -> Runner | None:
    """One operation, over and over."""
    values = ("GET", "/items/{id}", "200")
    if name in (BARE, BARE_AGAIN):
        return Runner(partial(_block, lambda value: None))
    made: Any
    if name in (_CLIENT, _CLIENT_SHARED):
        client = _client(mkdtemp() if name == _CLIENT_SHARED else "")
        made = {"counter": client.Counter, "histogram": client.Histogram}[instrument]
        made = made("x", "X.", _LABELS, registry=client.CollectorRegistry())
    else:
        registry = Registry()
        if name == TRACKSIDE_SHARED:
            share(registry, "bench", where=mkdtemp())
        made = getattr(registry, instrument)("x", "X.", _LABELS)
    if instrument == "counter":
        return Runner(partial(_block, lambda value: made.labels(*values).inc(value)))
    return Runner(partial(_block, lambda value: made.labels(*values).observe(value)))


def _block(operation: Change, count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        operation(0.25)
    return (time.thread_time() - began) / count


def _client(directory: str) -> Any:
    # It decides when it is imported.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    import prometheus_client

    return prometheus_client


class Worker:
    """The same families in one process, twice."""

    def __init__(self, directory: Path, number: int) -> None:
        self._number = number
        client = _client(str(directory / "theirs"))
        ours = Registry(max_series=10_000)
        share(ours, "bench", where=str(directory / "ours"))
        self.scrape = Rendering(ours, exposition.render, format_value).render
        self._changes: list[tuple[Change, Change]] = []
        made = client.CollectorRegistry()
        histogram = partial(client.Histogram, buckets=DEFAULT_BUCKETS)
        gauge = partial(client.Gauge, multiprocess_mode="livesum")
        self._add("latency_seconds", ours.histogram, partial(histogram, registry=made), "observe", _HISTOGRAMS)
        self._add("answers_total", ours.counter, partial(client.Counter, registry=made), "inc", _COUNTERS)
        self._add("queue_size", ours.gauge, partial(gauge, registry=made), "set", _GAUGES)
        for turn in range(CHANGED_ONE_IN):
            self.change(turn)

    def _add(self, name: str, ours: Any, theirs: Any, verb: str, label_sets: int) -> None:
        family, other = ours(name, "Of the benchmark.", _LABELS), theirs(name, "Of the benchmark.", _LABELS)
        for number in range(label_sets):
            values = ("GET", f"/items/{number}/{{id}}", "200")
            self._changes.append((getattr(family.labels(*values), verb), getattr(other.labels(*values), verb)))

    def change(self, turn: int) -> None:
        for ours, theirs in self._changes[turn % CHANGED_ONE_IN :: CHANGED_ONE_IN]:
            ours(0.031 + turn + self._number)
            theirs(0.031 + turn + self._number)


def _serve(pipe: Connection, directory: Path, number: int) -> None:
    worker = Worker(directory, number)
    pipe.send(None)
    while (turn := pipe.recv()) is not None:
        worker.change(turn)
        pipe.send(None)


class Application:
    def __init__(self, directory: Path) -> None:
        (directory / "theirs").mkdir()
        context = multiprocessing.get_context("fork")
        self._pipes, self._processes = [], []
        for number in range(1, PROCESSES):
            pipe, theirs = multiprocessing.Pipe()
            process = context.Process(target=_serve, args=(theirs, directory, number), daemon=True)
            process.start()
            self._pipes.append(pipe)
            self._processes.append(process)
        self._scraped = Worker(directory, 0)
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(directory / "theirs"))
        self._theirs = partial(generate_latest, registry)
        self._answered()

    def change(self, turn: int) -> None:
        for pipe in self._pipes:
            pipe.send(turn)
        self._scraped.change(turn)
        self._answered()

    def took_ms(self) -> tuple[float, float]:
        return _ms(self._theirs), _ms(self._scraped.scrape)

    def check(self) -> None:
        """Who shows less is fast."""
        theirs, ours = (sum(map(_count, text().splitlines())) for text in (self._theirs, self._scraped.scrape))
        # Sums of seconds are among them, added up in another order.
        if not math.isclose(theirs, ours, rel_tol=1e-12):
            raise AssertionError(f"they show {theirs} observations, and we {ours}")

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join()

    def _answered(self) -> None:
        for pipe in self._pipes:
            pipe.recv()


def _count(line: bytes) -> float:
    return float(line.rpartition(b" ")[2]) if line.startswith((b"latency_seconds_bucket", b"queue_size{")) else 0.0


def _ms(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return (time.thread_time() - began) * 1000


def scrapes(rounds: int) -> list[Scrape]:
    with TemporaryDirectory() as directory:
        application = Application(Path(directory))
        gc.collect()
        gc.freeze()
        first, changing, unchanged = application.took_ms(), [], []
        for turn in range(rounds):
            application.change(turn)
            changing.append(application.took_ms())
            unchanged.append(application.took_ms())
        application.check()
        application.stop()
    return [Scrape("first scrape", *first), _median(_CHANGING, changing), _median("nothing changed", unchanged)]


def _median(what: str, took: list[tuple[float, float]]) -> Scrape:
    theirs, ours = zip(*took, strict=True)
    return Scrape(what, statistics.median(theirs), statistics.median(ours))


def counts(rounds: int) -> list[Row]:
    requests = (BARE, BARE_AGAIN, TRACKSIDE, TRACKSIDE_SHARED)
    rows = measured(_WHERE_REQUEST, partial(built, null_contestant), requests, rounds, 500)
    for instrument, verb in (("counter", "inc"), ("histogram", "observe")):
        names = (BARE, BARE_AGAIN, TRACKSIDE, TRACKSIDE_SHARED, _CLIENT, _CLIENT_SHARED)
        where = f"{instrument}.labels(a, b, c).{verb}(x)"
        rows += measured(where, partial(counting, instrument=instrument), names, rounds, 2_000)
    return rows


def table(rows: Iterable[Scrape]) -> Iterable[str]:
    what = f"a scrape of {PROCESSES} processes of {_SERIES:,} series"
    yield f"\n{what:40}{'theirs ms':>12}{'ours ms':>12}{'times':>8}"
    for row in rows:
        yield f"  {row.what:38}{row.theirs_ms:12.1f}{row.ours_ms:12.1f}{row.theirs_ms / row.ours_ms:8.1f}"


def promises(counted: Iterable[Row], scraped: Iterable[Scrape]) -> list[Promise]:
    added = {row.contestant: row.added_us for row in counted if row.where == _WHERE_REQUEST}
    kept = [
        Promise(
            f"{_WHERE_REQUEST}: of a single process's", OF_SINGLE_PROCESS, added[TRACKSIDE_SHARED] / added[TRACKSIDE]
        )
    ]
    limit = 1 / TIMES_FASTER
    kept += [
        Promise(f"{row.what}: of MultiProcessCollector's", limit, row.ours_ms / row.theirs_ms)
        for row in scraped
        if row.what == _CHANGING
    ]
    return kept


def main() -> int:
    args = arguments(__doc__, rounds=21).parse_args()
    counted = counts(args.rounds)
    scraped = scrapes(max(args.rounds // 3, 3))
    return finished(args, (*counting_table(counted), *table(scraped)), (*counted, *scraped), promises(counted, scraped))


if __name__ == "__main__":
    sys.exit(main())
