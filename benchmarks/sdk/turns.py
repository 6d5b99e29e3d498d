"""Contestants in processes of their own, which take turns at short blocks of requests.

Each has processes of its own, as it has in production: in one process with others the interpreter would fit its
bytecode to them all. Every round runs a short block of requests in each process, one process at a time and in turning
order, so that a machine that slows down slows all alike; time is CPU time of the thread. "added" is the median, over
the rounds, of a contestant's block less the bare app's block of the same round, and of that the median over its
processes: where a process happens to lie in memory is worth a percent.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

PROCESSES = 3
_WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Runner:
    """One contestant, ready to run."""

    block: Callable[[int], float]
    """Sends n requests. The seconds that each took."""
    counted: Callable[[], float] | None = None
    """How many requests it recorded: who drops requests is fast."""


Build = Callable[[str], Runner | None]
"""The contestant of this name; None when it is not installed."""


@dataclass(frozen=True, slots=True)
class Row:
    where: str
    contestant: str
    us: float
    """A whole request."""
    added_us: float
    recorded: float | None


class Worker:
    def __init__(self, build: Build, name: str) -> None:
        self.name = name
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=serve, args=(theirs, build, name), daemon=True
        )
        self._process.start()
        theirs.close()
        self.recorded: float | None = self._pipe.recv()
        """Share of its requests; below 0 when there is no such contestant here."""

    def block(self, size: int) -> float:
        self._pipe.send(size)
        return float(self._pipe.recv())

    def stop(self) -> None:
        self._pipe.send(0)
        self._process.join()


def serve(pipe: Connection, build: Build, name: str) -> None:
    runner = build(name)
    if runner is None:
        pipe.send(-1)
        pipe.recv()
        return
    runner.block(_WARM_UP)
    pipe.send(runner.counted() / _WARM_UP if runner.counted else None)
    gc.collect()
    gc.freeze()
    while size := pipe.recv():
        pipe.send(runner.block(size))


def measured(
    where: str, build: Build, names: Sequence[str], rounds: int, size: int, processes: int = PROCESSES
) -> list[Row]:
    """`names` begins with the bare app's."""
    started = [Worker(build, name) for _ in range(processes) for name in names]
    workers = [worker for worker in started if worker.recorded is None or worker.recorded >= 0]
    times: list[list[float]] = [[] for _ in workers]
    for number in range(rounds):
        order = [(number + place) % len(workers) for place in range(len(workers))]
        for at in reversed(order) if number % 2 else order:
            times[at].append(workers[at].block(size))
    for worker in started:
        worker.stop()

    def of(name: str) -> list[list[float]]:
        return [took for worker, took in zip(workers, times, strict=True) if worker.name == name]

    # Not their mean: one block that others disturbed would make every contestant of its round look cheap.
    bare = [statistics.median(blocks) for blocks in zip(*of(names[0]), strict=True)]
    rows = []
    for name in names:
        if not of(name):
            continue
        added = [statistics.median(own - base for own, base in zip(took, bare, strict=True)) for took in of(name)]
        whole = statistics.median(block for took in of(name) for block in took)
        share = next(worker.recorded for worker in workers if worker.name == name)
        rows.append(Row(where, name, whole * 1e6, statistics.median(added) * 1e6, share))
    return rows


def table(rows: Iterable[Row]) -> Iterable[str]:
    where = ""
    for row in rows:
        if row.where != where:
            where = row.where
            yield f"\n{where}\n  {'':36}{'us/request':>12}{'added us':>12}{'recorded':>10}"
        share = "" if row.recorded is None else f"{row.recorded:.0%}"
        yield f"  {row.contestant:36}{row.us:12.2f}{row.added_us:+12.2f}{share:>10}"
