"""What the whole server says of real back-ends, and that it only ever looks at them."""

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
import uuid
from urllib.parse import quote

import httpx
import psycopg
import pytest
from redis import Redis

from trackside.jobs.redis_store import READ_ONLY_RULES
from trackside.jobs.sql.advice import grants
from trackside.jobs.sql.plain import plain
from trackside.model.jobs import JobsPage

APPLICATION = """
import os, sys, time
from redis import Redis
from rq import Queue, Worker

connection = Redis.from_url(sys.argv[1])
queue = Queue("high", connection=connection)

def fine(password="s3cret"): pass
def fails(): raise ValueError("no")
def endless():
    connection.set("runs", 1)
    time.sleep(100)
def called(job, connection, *error): connection.set("called", 1)

if __name__ == "__main__":
    import application
    for name in sys.argv[3:]:
        queue.enqueue(getattr(application, name), on_failure=application.called)
    if sys.argv[2] == "work":
        Worker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
"""
PAGES = (
    "/jobs",
    "/jobs?q=state:failed",
    "/jobs?q=s3cret",
    "/jobs?tab=wait",
    "/admin/dashboard",
    "/admin/rq",
    "/admin/health",
    "/admin/workers",
    "/admin/jobs/stats?hours=24",
    "/admin/jobs/recent?limit=20",
    "/admin/metrics",
    "/api/v1/jobs/summary",
    "/api/v1/jobs/queues",
    "/api/v1/jobs/kinds",
    "/api/v1/jobs/jobs?q=kind:mail",
    "/api/v1/jobs/jobs.csv",
)


class Rq:
    """A real application on a real Redis, in a database of its own."""

    def __init__(self, redis_url, folder):
        self.url = f"{redis_url.rsplit('/', 1)[0]}/13"
        self.redis = Redis.from_url(self.url)
        self.redis.flushdb()
        (folder / "application.py").write_text(APPLICATION)
        self._environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._file = folder / "application.py"

    def start(self, what, *names):
        command = [sys.executable, self._file, self.url, what, *names]
        return subprocess.Popen(command, env=self._environment, start_new_session=True)

    def run(self, what, *names):
        assert self.start(what, *names).wait(110) == 0

    def reader_url(self):
        self.redis.execute_command("ACL", "SETUSER", "looks", "reset", "on", ">secret", *READ_ONLY_RULES.split())
        return self.url.replace("redis://", "redis://looks:secret@")

    def digest(self):
        """Of every key to the byte, and of when it ends. (DEBUG DIGEST is switched off as a rule.)"""
        keys = sorted(self.redis.scan_iter(count=1000))
        ends = [self.redis.execute_command("PEXPIRETIME", key) for key in keys]
        whole = [(key, self.redis.dump(key), end) for key, end in zip(keys, ends, strict=True)]
        return hashlib.sha256(repr(whole).encode()).hexdigest()


@pytest.fixture
def rq(redis_url, tmp_path):
    one = Rq(redis_url, tmp_path)
    yield one
    one.redis.flushdb()
    one.redis.close()


class Schema:
    def __init__(self, url):
        self.name = f"s{uuid.uuid4().hex[:12]}"
        self.url = f"{url}?options={quote(f'-csearch_path={self.name}')}"
        self._connection = psycopg.connect(self.url, autocommit=True)
        self.run(f"CREATE SCHEMA {self.name}")

    def run(self, sql):
        cursor = self._connection.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def reader_url(self):
        role = f"r{uuid.uuid4().hex[:12]}"
        for statement in grants(plain("jobs")(lambda name: {}), role=role).split(";"):
            if statement.strip():
                self.run(statement.replace('SCHEMA "public"', f"SCHEMA {self.name}"))
        return self.url.replace("postgres@", f"{role}@")

    def digest(self):
        rows = self.run("SELECT ctid, xmin, xmax, j::text FROM jobs j ORDER BY ctid")
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def close(self):
        self.run(f"DROP SCHEMA {self.name} CASCADE")
        self._connection.close()


@pytest.fixture
def schema(postgres_url):
    one = Schema(postgres_url)
    yield one
    one.close()


@pytest.fixture
def world(make_world):
    return make_world()


def configure(world, text):
    path = world.folder / "trackside.yml"
    path.write_text(f"{path.read_text()}\njobs:\n  sources:\n{text}")
    world.loop.run_until_complete(world.server.reload())


def look(world):
    for name in world.server.jobs.watch.samplers:
        world.server.jobs.watch.step(name)


def advance(world, seconds):
    world.advance(seconds, lambda: look(world) if world.clock.time_ms % 5_000 == 0 else None)


def verdicts(world):
    return {one["kind"]: one for one in world.get("/api/v1/jobs/summary")["verdicts"]}


def test_a_hundred_pages_change_nothing_under_users_that_may_only_read(world, rq, schema):
    rq.run("work", "fine", "fails")
    rq.run("enqueue", "fine")
    rq.redis.delete("called")
    # RQ's own readers would move it to the failed ones, and call the application back.
    rq.redis.zadd("rq:wip:high", {"gone:execution": time.time() - 120})
    schema.run(
        "CREATE TABLE jobs (id serial PRIMARY KEY, status text, kind text, created_at timestamptz DEFAULT now())"
    )
    schema.run("INSERT INTO jobs (status, kind) SELECT unnest(ARRAY['queued', 'processing', 'failed']), 'mail'")
    configure(
        world,
        f"  - {{name: rq, type: rq, url: '{rq.reader_url()}'}}\n"
        f"  - {{name: db, type: table, url: '{schema.reader_url()}'}}\n",
    )
    advance(world, 10)
    found = [one["id"] for one in world.get("/api/v1/jobs/jobs")["jobs"] if one["source"] == "rq"]
    assert len(found) == 3
    pages = [*PAGES, "/jobs/db/1", *(f"/jobs/rq/{id}" for id in found)]
    before = rq.digest(), schema.digest()

    for number in range(100):
        response = world.loop.run_until_complete(world._get(pages[number % len(pages)], {}))
        assert response.status_code in (200, 503), response.text
        look(world)

    assert (rq.digest(), schema.digest()) == before
    assert not rq.redis.exists("called")


def test_a_killed_worker_is_said_with_the_job_it_left(world, rq, kill_session):
    configure(world, f"  - {{name: rq, type: rq, url: '{rq.reader_url()}'}}\n")
    worker = rq.start("work", "endless")
    until = time.monotonic() + 90
    while not rq.redis.exists("runs"):
        assert time.monotonic() < until
        time.sleep(0.05)
    advance(world, 10)
    assert "jobs_orphaned" not in verdicts(world)

    kill_session(worker)
    # What happens in Redis in the two minutes after: its last word was good for a minute and a half.
    (member,) = rq.redis.zrange("rq:wip:high", 0, -1)
    rq.redis.zadd("rq:wip:high", {member: time.time() - 60})
    rq.redis.delete(*rq.redis.scan_iter("rq:execution:*"), *rq.redis.scan_iter("rq:worker:*"))
    advance(world, 60)

    found = verdicts(world)["jobs_orphaned"]
    assert found["jobs"] == [member.decode().partition(":")[0]]
    assert found["next_step"]
    assert rq.redis.zrange("rq:failed:high", 0, -1) == []


APALIS = (
    "CREATE TABLE workers (id text PRIMARY KEY, worker_type text NOT NULL, storage_name text NOT NULL,"
    " last_seen timestamptz NOT NULL DEFAULT now(){workers})",
    "CREATE TABLE jobs (id text PRIMARY KEY, job_type text NOT NULL, status text NOT NULL, attempts int DEFAULT 1,"
    " max_attempts int DEFAULT 5, run_at timestamptz DEFAULT now(), lock_at timestamptz, lock_by text,"
    " done_at timestamptz, priority int DEFAULT 0, {jobs})",
)


@pytest.fixture
def apalis(world, schema):
    def make(*, is_1):
        more = (", started_at timestamptz", "job bytea, last_result jsonb, metadata jsonb")
        workers, jobs = more if is_1 else ("", "job jsonb, last_error text")
        for statement in APALIS:
            schema.run(statement.format(workers=workers, jobs=jobs))
        schema.run("INSERT INTO workers VALUES ('w1', 'email', 'PostgresStorage'), ('w2', 'email', 'PostgresStorage')")
        configure(world, f"  - {{name: apalis, type: apalis, schema: {schema.name}, url: '{schema.url}'}}\n")
        advance(world, 10)
        return schema

    return make


QUERIES = (
    "rate(apalis_jobs_total[5m])",
    "apalis_jobs_failed_total",
    "histogram_quantile(0.95, rate(apalis_jobs_duration_seconds_bucket[5m]))",
    "apalis_active_jobs",
)


def test_four_queries_of_dashboards_for_apalis_have_data(world, apalis):
    schema = apalis(is_1=True)

    def add(id, status, done, attempts):
        schema.run(
            "INSERT INTO jobs (id, job_type, status, attempts, run_at, lock_by, lock_at, done_at) VALUES"
            f" ('{id}', 'email', '{status}', {attempts}, now() - interval '30 s', 'w1', now() - interval '1.3 s',"
            f" {done})"
        )

    for number in range(3):
        add(f"done{number}", "Done", "now()", 1)
        add(f"dead{number}", "Killed", "now()", 5)
        advance(world, 15)
    add("runs", "Running", "NULL", 1)
    add("again", "Failed", "now()", 2)
    advance(world, 15)

    rate, failed, p95, active = (world.get("/api/v1/query", query=one, time=now(world))["result"] for one in QUERIES)
    assert sum(float(one["value"][1]) for one in rate) > 0
    assert sum(float(one["value"][1]) for one in failed) == 3
    # It ran for 1.3 s, and waited for 30 before that.
    assert 1 < max(float(one["value"][1]) for one in p95 if one["value"][1] != "NaN") < 2.6
    assert [float(one["value"][1]) for one in active] == [1]
    (queue,) = world.get("/api/v1/jobs/queues")
    assert queue["counts"]["retrying"] == 1


def now(world):
    return str(world.clock.time_ms / 1_000)


def test_a_worker_of_apalis_that_takes_what_a_live_one_runs_is_a_double_run(world, apalis):
    schema = apalis(is_1=False)
    schema.run(
        "INSERT INTO jobs (id, job_type, status, lock_by, lock_at) VALUES ('a', 'email', 'Running', 'w1', now())"
    )
    look(world)
    advance(world, 5)
    # What a starting worker of 0.7 does to jobs that run: they wait again, and their attempts are what they were.
    schema.run("UPDATE jobs SET status = 'Pending', done_at = NULL, lock_by = NULL, lock_at = NULL")
    schema.run("UPDATE jobs SET status = 'Running', lock_by = 'w2', lock_at = now()")
    advance(world, 5)

    found = verdicts(world)["jobs_duplicated"]
    assert found["jobs"] == ["a"]
    assert {"w1", "w2"} >= set(found["workers"])
    advance(world, 10)
    assert world.value("trackside_jobs_duplicated_total") == 1


def test_a_back_end_that_is_slow_keeps_no_other_request_waiting(world, rq):
    configure(world, f"  - {{name: rq, type: rq, url: '{rq.url}'}}\n")
    look(world)
    sampler = world.server.jobs.watch.samplers["rq"]
    asked, released, in_time = threading.Event(), threading.Event(), []

    def slow(query, after="", limit=50):
        asked.set()
        in_time.append(released.wait(90))
        return JobsPage(())

    sampler.source.find = slow

    async def both():
        headers = {"Authorization": f"Bearer {world.server.admin_key}"}
        transport = httpx.ASGITransport(app=world.server.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trackside", headers=headers) as client:
            search = asyncio.create_task(client.get("/api/v1/jobs/jobs?q=anything"))
            while not asked.is_set():
                await asyncio.sleep(0.005)
            for _ in range(20):
                assert (await client.get("/health/live")).status_code == 200
            assert not search.done()
            released.set()
            assert (await search).status_code == 200

    world.loop.run_until_complete(both())
    assert in_time == [True]
