"""What one look at two million rows of jobs in Postgres costs, beside the query that dashboards ask instead.

Four cases, taken in turn: a look with the indexes that we suggest, a search for failed jobs, and, as the peers,
counting all rows by their status and the statistics of 24 hours; a look without the indexes, once. Between two rounds
200 jobs end.

    python benchmarks/jobs/sql_sample_cost.py [--rounds N] [--rows N] [--url postgresql://an-empty-database]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from trackside.jobs.sql.advice import suggested_indexes
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.source import SqlJobs, open_jobs
from trackside.model.jobs import JobQuery, JobState

LIMIT_MS = 150
LIVE_SHARE = 0.02
TABLE = """
CREATE TABLE jobs (
    id bigserial PRIMARY KEY, queue text NOT NULL, kind text NOT NULL, status text NOT NULL, payload jsonb,
    attempts int NOT NULL DEFAULT 0, max_attempts int NOT NULL DEFAULT 5, created_at timestamptz NOT NULL,
    run_at timestamptz NOT NULL, started_at timestamptz, finished_at timestamptz, error text, worker text,
    lease_until timestamptz
)"""
ROWS = """
INSERT INTO jobs (queue, kind, status, payload, created_at, run_at, started_at, finished_at, error, worker)
SELECT (ARRAY['high', 'default', 'low'])[1 + mod(n, 3)], 'kind-' || mod(n, 20),
       CASE WHEN is_live THEN 'queued' WHEN mod(n, 50) = 0 THEN 'failed' ELSE 'succeeded' END,
       jsonb_build_object('user', n, 'text', md5(n::text)), at, at,
       CASE WHEN NOT is_live THEN at + interval '3 s' END, CASE WHEN NOT is_live THEN at + interval '5 s' END,
       CASE WHEN mod(n, 50) = 0 AND NOT is_live THEN 'ValueError: no' END, 'w-' || mod(n, 8)
FROM (SELECT n, n > %(rows)s * (1 - %(live)s) AS is_live,
             now() - (%(rows)s - n) * interval '40 ms' - interval '10 s' AS at
      FROM generate_series(1, %(rows)s::int) n) r"""
END_SOME = """
UPDATE jobs SET status = 'succeeded', started_at = now() - interval '1 s', finished_at = now()
WHERE id IN (SELECT id FROM jobs WHERE status IN ('queued', 'processing') LIMIT 200)"""
CLAIM = """
UPDATE jobs SET status = 'processing', started_at = now(), lease_until = now() + interval '1 min'
WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' LIMIT 100)"""
COUNT_ALL = "SELECT queue, status, count(*) FROM jobs GROUP BY 1, 2"
LAST_DAY = """
SELECT status, count(*), avg(extract(epoch FROM finished_at - started_at)) FROM jobs
WHERE created_at > now() - interval '24 h' GROUP BY 1"""


class Looks:
    def __init__(self, source: SqlJobs) -> None:
        self._source = source
        self._cursor = source.sample().cursor
        self.notes: tuple[str, ...] = ()
        self.ended = 0

    def look(self) -> None:
        sample = self._source.sample(self._cursor)
        self._cursor, self.notes = sample.cursor, sample.notes
        self.ended += len(sample.finished)

    def search(self) -> None:
        self._source.find(JobQuery(states=frozenset({JobState.FAILED}), kind="kind-0"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--url", help="an empty database; without it a private server is started")
    args = parser.parse_args()
    with _database(args.url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(ROWS, {"rows": args.rows, "live": LIVE_SHARE})
        connection.execute(CLAIM)
        connection.execute("VACUUM ANALYZE jobs")
        bare = _bare(url)
        for index in suggested_indexes(_map(url)):
            connection.execute(index)
        times_ms, ended = _measured(connection, Looks(_opened(url)), args.rounds)
    print(f"{args.rows:,} rows, {LIVE_SHARE:.0%} of them live; median of {args.rounds} rounds, ms\n")
    for name, some in {**times_ms, "a look without the indexes": [bare]}.items():
        print(f"  {name:34}{statistics.median(some):9.1f}")
    assert ended == 200 * args.rounds, f"{ended} ends were seen, {200 * args.rounds} there were"
    median_ms = statistics.median(times_ms["a look"])
    print(f"\n  promise: a look costs at most {LIMIT_MS} ms: {'holds' if median_ms <= LIMIT_MS else 'BROKEN'}")
    return 0 if median_ms <= LIMIT_MS else 1


def _measured(connection: psycopg.Connection[Any], looks: Looks, rounds: int) -> tuple[dict[str, list[float]], int]:
    cases = {
        "a look": looks.look,
        "a search for failed jobs": looks.search,
        "counting all rows": lambda: connection.execute(COUNT_ALL).fetchall(),
        "statistics of 24 hours": lambda: connection.execute(LAST_DAY).fetchall(),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in cases}
    for _round in range(rounds):
        connection.execute(END_SOME)
        for name, run in cases.items():
            times_ms[name].append(_timed_ms(run))
    return times_ms, looks.ended


def _bare(url: str) -> float:
    looks = Looks(_opened(url))
    bare_ms = _timed_ms(looks.look)
    print("\n".join(looks.notes))
    return bare_ms


def _map(url: str) -> Any:
    source = _opened(url)
    source.sample()
    table = source.table
    source.close()
    return table


def _opened(url: str) -> SqlJobs:
    return open_jobs(url, plain(), is_secret=lambda _key: False, time_out_s=30)


def _timed_ms(run: Any) -> float:
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1_000


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    """A private server, unless there is one."""
    if url:
        yield url
        return
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": ()} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="trackside-", dir="/tmp") as folder, socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        one.close()
        if owner:
            shutil.chown(folder, "postgres")
        data = Path(folder) / "data"
        command = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **owner)
        options = [f"-p{port}", "-clisten_addresses=127.0.0.1", f"-cunix_socket_directories={folder}", "-cfsync=off"]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options, "-cshared_buffers=256MB", "-cmax_wal_size=2GB"],
            cwd=folder,
            stderr=subprocess.DEVNULL,
            **owner,
        )
        try:
            ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            while subprocess.run(ready, check=False).returncode:
                time.sleep(0.1)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


if __name__ == "__main__":
    sys.exit(main())
