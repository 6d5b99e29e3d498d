"""Whoever looks at the pages changes nothing in the back-ends, however full they are, and needs no right to."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import psycopg
import pytest
import redis
import rq

from trackside.server.clock import SystemClock
from trackside.server.db.database import Database
from trackside.server.jobs.advice import source_advice
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.opening import open_sources
from trackside.server.jobs.sampler import Ports
from trackside.server.jobs.watch import JobsWatch
from trackside.server.yamlfile import parse_yaml, section_of

QUEUED, ROWS, LOADS = 50_000, 2_000, 100
DATABASE = 9
"""Of the Redis that this process has: its other tests have theirs."""
CREATE = "CREATE TABLE jobs (id {key}, kind text, queue text, status text, created_at {time}, started_at {time})"


@pytest.fixture
def redis_queue(redis_url: str) -> Iterator[SimpleNamespace]:
    """Jobs of RQ: one by its own hand, the others copies of that."""
    url = redis_url.rpartition("/")[0] + f"/{DATABASE}"
    connection = redis.Redis.from_url(url)
    job = rq.Queue("high", connection=connection).enqueue("shop.render", 7, size="large")
    hash = connection.hgetall(f"rq:job:{job.id}")
    pipeline = connection.pipeline(transaction=False)
    for number in range(QUEUED - 1):
        pipeline.hset(f"rq:job:copy-{number}", mapping=hash)
        pipeline.rpush("rq:queue:high", f"copy-{number}")
        if number % 5_000 == 0:
            pipeline.execute()
    pipeline.execute()
    rq.SimpleWorker(["low"], connection=connection, name="waits").register_birth()
    yield SimpleNamespace(url=url, connection=connection, id=job.id)
    connection.flushdb()
    connection.close()


def everything(connection: object) -> str:
    """All that Redis has, to the byte, and when it ends."""
    digest = hashlib.sha256()
    keys = sorted(connection.scan_iter(count=5_000))  # type: ignore[attr-defined]
    for start in range(0, len(keys), 5_000):
        pipeline = connection.pipeline(transaction=False)  # type: ignore[attr-defined]
        for key in keys[start : start + 5_000]:
            pipeline.dump(key)
            pipeline.execute_command("PEXPIRETIME", key)
        digest.update(repr((keys[start : start + 5_000], pipeline.execute())).encode())
    return digest.hexdigest()


@pytest.fixture
def sqlite_jobs(tmp_path: Path) -> SimpleNamespace:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute(CREATE.format(key="integer primary key", time="text"))
    rows = [(n, "mail", "mail", "queued", "2027-01-15 08:00:00") for n in range(ROWS)]
    connection.executemany("INSERT INTO jobs (id, kind, queue, status, created_at) VALUES (?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()

    def digest() -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest() + str(sorted(one.name for one in tmp_path.glob("app.db*")))

    return SimpleNamespace(url=f"sqlite:///{path}", digest=digest)


@pytest.fixture
def postgres_jobs(postgres_url: str) -> Iterator[SimpleNamespace]:
    schema = f"s{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute(f"SET search_path TO {schema}")
        connection.execute(CREATE.format(key="serial primary key", time="timestamptz"))
        connection.execute(
            "INSERT INTO jobs (kind, queue, status, created_at)"
            f" SELECT 'report', 'reports', 'queued', now() FROM generate_series(1, {ROWS})"
        )

        def digest() -> str:
            # Where a row lies and who wrote it, too: an update that changes nothing is one.
            sql = "SELECT md5(string_agg(j::text || j.xmin::text || j.ctid::text, ',' ORDER BY ctid)) FROM jobs j"
            found: str = connection.execute(sql).fetchone()[0]
            return found

        yield SimpleNamespace(url=f"{postgres_url}?options=-csearch_path%3D{schema}", digest=digest, schema=schema)
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def watch(
    tmp_path: Path, redis_queue: SimpleNamespace, sqlite_jobs: SimpleNamespace, postgres_jobs: SimpleNamespace
) -> Iterator[JobsWatch]:
    name = f"looks-{uuid.uuid4().hex}"
    url = redis_queue.url.replace("redis://", f"redis://{name}:pw@")
    text = f"""\
sources:
- {{name: rq, type: rq, url: "{url}"}}
- {{name: mail, type: table, url: "{sqlite_jobs.url}"}}
- {{name: reports, type: table, url: "{postgres_jobs.url}", table: {postgres_jobs.schema}.jobs}}
"""
    config = section_of(parse_yaml(text, "jobs.yml"), JobsConfig)
    (line,) = next(list(lines) for _, lines in source_advice(config, tmp_path))
    redis_queue.connection.execute_command(*line.replace("trackside on >...", f"{name} on >pw").split(" "))
    db = Database(tmp_path / "trackside.db")
    opened = open_sources(config, tmp_path)
    made = JobsWatch(opened, Ports(db, JobsLedger(db), SystemClock(), "test"))
    yield made
    made.stop()
    db.close()
    redis_queue.connection.execute_command("ACL", "DELUSER", name)


def test_a_hundred_pages_leave_every_byte_as_it_was(
    watch: JobsWatch,
    redis_queue: SimpleNamespace,
    sqlite_jobs: SimpleNamespace,
    postgres_jobs: SimpleNamespace,
    make_console: Callable,
    make_app: Callable,
) -> None:
    app = make_app(make_console(jobs=lambda: watch, clock=SystemClock()))
    paths = [
        "/jobs",
        "/admin/dashboard",
        "/admin/rq",
        f"/jobs/rq/{redis_queue.id}",
        "/jobs?q=source:rq+kind:shop.render",
    ]

    def state() -> tuple[str, str, str]:
        return everything(redis_queue.connection), sqlite_jobs.digest(), postgres_jobs.digest()

    async def visit() -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
            pages = []
            for number in range(LOADS):
                if number % 10 == 0:
                    for name in watch.samplers:
                        await asyncio.to_thread(watch.step, name)
                response = await client.get(paths[number % len(paths)])
                assert response.status_code == 200
                pages.append(response.text)
            return pages

    before = state()
    pages = asyncio.run(visit())

    assert [view.view.error for view in watch.seen()] == ["", "", ""]
    assert "50\u202f000" in pages[0]
    assert pages[0].count("2\u202f000") >= 2
    assert "shop.render" in pages[3]
    assert state() == before
