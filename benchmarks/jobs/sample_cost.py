"""What a look at an RQ with 50,000 queued jobs costs, beside rq-dashboard-fast on the same queue.

    python benchmarks/jobs/sample_cost.py                table
    python benchmarks/jobs/sample_cost.py --json F       and all rows as JSON
    python benchmarks/jobs/sample_cost.py --check        exit 1 when a promise does not hold

How it measures: a Redis of its own is filled by RQ's own hand with 50,000 queued, 2,000 finished and 100 failed jobs in
eight queues. In turn, in one process after warming up: a sample with the cursor of the one before, the first page of
jobs, and one job with its arguments. rq-dashboard-fast serves the same data from a process of its own, and is asked for
what its pages ask for every five seconds: queues, workers and all jobs. It takes part when it is there:

    pip install --target .venv/libraries/rq-dashboard-fast rq-dashboard-fast

How to read it: medians of wall time, with Redis on the same machine.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import JobQuery, JobState

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from promise import Promise, arguments, finished

QUEUED = 50_000
QUEUES = 8
SAMPLE_MS = 50
PAGE_MS = 100
_THEIRS = Path(__file__).parents[2] / ".venv" / "libraries" / "rq-dashboard-fast"
_THEIR_ROUNDS = 3
FILL = f"""
import sys
from redis import Redis
from rq import Queue, SimpleWorker
connection = Redis.from_url(sys.argv[1])
queues = [Queue(f"queue{{at}}", connection=connection) for at in range({QUEUES})]
for at in range(2_000):
    queues[at % {QUEUES}].enqueue("operator.add", at, 1, result_ttl=86_400)
for at in range(100):
    queues[at % {QUEUES}].enqueue("operator.truediv", 1, 0)
SimpleWorker(queues, connection=connection).work(burst=True, logging_level="CRITICAL")
for queue in queues:
    queue.enqueue_many(
        [Queue.prepare_data("operator.add", (at, "some text " * 5), {{"user": at}}) for at in range({QUEUED // QUEUES})]
    )
SimpleWorker(queues, connection=connection, name="waits").register_birth()
"""
_SERVE = """
import sys
import uvicorn
from rq_dashboard_fast import RedisQueueDashboard
uvicorn.run(RedisQueueDashboard(sys.argv[1], "/"), port=int(sys.argv[2]), log_level="error")
"""


@dataclass(frozen=True, slots=True)
class Row:
    who: str
    what: str
    median_ms: float
    worst_ms: float


def measured(who: str, what: str, rounds: int, work: Callable[[], object]) -> Row:
    work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return Row(who, what, statistics.median(took), max(took))


def ours(url: str, rounds: int) -> Iterator[Row]:
    source = RqSource(connected(url), is_secret=lambda key: "password" in key)
    cursor = source.sample().cursor

    def sample() -> None:
        nonlocal cursor
        found = source.sample(cursor)
        assert sum(queue.counts[JobState.QUEUED] for queue in found.queues) == QUEUED
        cursor = found.cursor

    first = source.find(JobQuery()).jobs[0]
    yield measured("Trackside", "sample: queues, workers, what ended", rounds, sample)
    yield measured("Trackside", "page: the newest 50 of all jobs", rounds, lambda: source.find(JobQuery()))
    yield measured("Trackside", "one job", rounds, lambda: source.get(first.id))
    source.close()


def theirs(url: str) -> Iterator[Row]:
    if not _THEIRS.is_dir():
        return
    port = free_port()
    command = [sys.executable, "-c", _SERVE, url, str(port)]
    with running(command, {**os.environ, "PYTHONPATH": str(_THEIRS)}):
        wait_for(port)
        for what, path in [
            ("queues", "/queues/json"),
            ("workers", "/workers/json"),
            ("page: all jobs", "/jobs/json?state=all&queue_name=all&page=1&per_page=50"),
        ]:
            yield measured("rq-dashboard-fast", what, _THEIR_ROUNDS, lambda path=path: _got(port, path))


def _got(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        body: bytes = answer.read()
    return body


@contextmanager
def running(command: list[str], environ: dict[str, str] | None = None) -> Iterator[None]:
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "a server did not start"
            time.sleep(0.05)
        else:
            return


@contextmanager
def filled() -> Iterator[tuple[str, Path]]:
    """The address of a Redis of its own with all these jobs, and a folder."""
    with ExitStack() as stack:
        folder, port = stack.enter_context(tempfile.TemporaryDirectory()), free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        stack.enter_context(running(command))
        wait_for(port)
        url = f"redis://127.0.0.1:{port}/0"
        subprocess.run([sys.executable, "-c", FILL, url], check=True)
        yield url, Path(folder)


def all_rows(rounds: int) -> list[Row]:
    with filled() as (url, _):
        return [*ours(url, rounds), *theirs(url)]


def promises(rows: list[Row]) -> list[Promise]:
    ms = {(row.who, row.what.split(":")[0]): row.median_ms for row in rows}
    return [
        Promise(f"a sample of {QUEUED:,} queued jobs, ms", SAMPLE_MS, ms["Trackside", "sample"]),
        Promise("a page of jobs, ms", PAGE_MS, ms["Trackside", "page"]),
    ]


def table(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{QUEUED:,} queued jobs in {QUEUES} queues{'':28}{'median ms':>12}{'worst ms':>12}"
    for row in rows:
        yield f"  {row.who:20}{row.what:38}{row.median_ms:12.1f}{row.worst_ms:12.1f}"


def main() -> int:
    args = arguments(__doc__, rounds=50).parse_args()
    rows = all_rows(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
