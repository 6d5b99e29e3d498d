"""What the pages of jobs cost, with 50,000 jobs queued in RQ and a month of history in the ledger.

    python benchmarks/jobs/page_cost.py                table
    python benchmarks/jobs/page_cost.py --json F       and all rows as JSON
    python benchmarks/jobs/page_cost.py --check        exit 1 when a promise does not hold

How it measures: a Redis of its own is filled by RQ's own hand, as for `sample_cost.py`; the ledger has attempts of
twenty kinds, two of each every hour for 60 days. Pages are asked for in this process, as a browser asks for the whole
page, after the source was looked at and each page was shown once.

How to read it: medians of wall time until the last byte of HTML, without compression and without what stored metrics
add: lines of charts, pollers and outboxes. `weeks anew` is the page of all jobs the first time: then it counts the last
day, week and month, and keeps them for a minute to half an hour.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import httpx
from starlette.applications import Starlette

from trackside.exceptions import QueryError
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import JobQuery, JobReport
from trackside.model.labels import Labels
from trackside.server.clock import SystemClock
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.spans import Spans
from trackside.server.jobs.watch import JobsWatch
from trackside.server.series import QueryResult
from trackside.server.web.console import Console
from trackside.server.web.pages.all import page_routes

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
sys.path.insert(0, str(Path(__file__).parent))
from promise import Promise, arguments, finished
from sample_cost import QUEUED, Row, filled, measured

PAGE_MS = 100
PROMISED = ("all jobs", "RQ's", "a search", "one job")
"""Pages as they open. Longer ranges read more, and are shown without a promise."""
KINDS, DAYS, HOURLY = 20, 60, 2
HOUR_MS = 3_600_000


class NoMetrics:
    """No series are stored."""

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        raise QueryError("nothing is stored")

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        raise QueryError("nothing is stored")

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]:
        return []

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        return []

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        return []


def history(now_ms: int) -> Iterator[JobReport]:
    for hour in range(DAYS * 24):
        for number in range(KINDS * HOURLY):
            ended_ms = now_ms - hour * HOUR_MS - number * 60_000
            outcome = "failed" if number % 17 == 0 else "succeeded"
            yield JobReport(
                "rq",
                f"{hour}-{number}",
                f"shop.kind{number % KINDS}",
                f"queue{number % 4}",
                1,
                outcome,
                ended_ms - 4_000,
                None,
                ended_ms - 3_000,
                ended_ms,
                error="ValueError: no such image" if outcome == "failed" else "",
                cost_usd=0.01 * (number % 3),
            )


def rows(url: str, folder: Path, rounds: int) -> Iterator[Row]:
    clock = SystemClock()
    db = Database(folder / "trackside.db")
    ledger = JobsLedger(db)
    reports = list(history(clock.now_ms()))
    for start in range(0, len(reports), 2_000):
        ledger.take(reports[start : start + 2_000], clock.now_ms())
    source = RqSource(connected(url), is_secret=lambda key: "password" in key)
    watch = JobsWatch({"rq": (source, Pace())}, Ports(db, ledger, clock, "benchmark"))
    watch.step("rq")
    watch.step("rq")
    job = source.find(JobQuery()).jobs[0]
    app = Starlette(routes=page_routes(_console(clock, watch)))
    pages = {
        "all jobs": "/jobs",
        "all jobs, a month": "/jobs?range=30d",
        "waits of a week": "/jobs?range=7d&tab=wait",
        "RQ's": "/admin/rq",
        "a search": "/jobs?q=state:queued+queue:queue3",
        "one job": f"/jobs/rq/{job.id}",
    }
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://trackside")

        def load(path: str) -> None:
            response = runner.run(client.get(path))
            assert response.status_code == 200

        def weeks_anew() -> None:
            watch.spans = Spans(ledger)
            load("/jobs")

        for what, path in pages.items():
            yield measured("page", what, rounds, lambda path=path: load(path))
        yield measured("page", "weeks anew", min(rounds, 10), weeks_anew)
        runner.run(client.aclose())
    watch.stop()
    db.close()


def _console(clock: SystemClock, watch: JobsWatch) -> Console:
    return Console(
        NoMetrics(),
        clock,
        tuple,
        tuple,
        lambda newest: (),
        clock.now_ms() - 86_400_000,
        "0",
        "http://localhost",
        str,
        jobs=lambda: watch,
    )


def all_rows(rounds: int) -> list[Row]:
    with filled() as (url, folder):
        return list(rows(url, folder, rounds))


def promises(found: list[Row]) -> list[Promise]:
    return [Promise(f"{row.what}, ms", PAGE_MS, row.median_ms) for row in found if row.what in PROMISED]


def table(found: Iterable[Row]) -> Iterable[str]:
    yield f"{QUEUED:,} queued jobs, {KINDS} kinds over {DAYS} days{'':20}{'median ms':>12}{'worst ms':>12}"
    for row in found:
        yield f"  {row.who:8}{row.what:50}{row.median_ms:12.1f}{row.worst_ms:12.1f}"


def main() -> int:
    args = arguments(__doc__, rounds=50).parse_args()
    found = all_rows(args.rounds)
    return finished(args, table(found), found, promises(found))


if __name__ == "__main__":
    sys.exit(main())
