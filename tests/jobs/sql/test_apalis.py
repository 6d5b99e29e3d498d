"""apalis in Postgres: tables of both lines, rows as its workers leave them."""

import json

import pytest

from trackside.jobs.sql.libraries import library_map
from trackside.model.jobs import JobQuery, JobState

WORKERS = """
CREATE TABLE {schema}.workers (
    id text PRIMARY KEY, worker_type text NOT NULL, storage_name text NOT NULL, layers text NOT NULL DEFAULT '',
    last_seen timestamptz NOT NULL DEFAULT now(){more}
)"""
JOBS = """
CREATE TABLE {schema}.jobs (
    id text NOT NULL, job_type text NOT NULL, status text NOT NULL DEFAULT 'Pending', attempts int NOT NULL DEFAULT 0,
    max_attempts int NOT NULL DEFAULT 25, run_at timestamptz NOT NULL DEFAULT now(), lock_at timestamptz,
    lock_by text REFERENCES {schema}.workers (id), done_at timestamptz, priority int DEFAULT 0, {more}
)"""
ULID = "01JD{:022d}"
BORN_MS = 1_731_945_562_112
"""The time in such a ULID."""


class Apalis:
    def __init__(self, postgres, open_source, is_1):
        self.is_1, self.run = is_1, postgres.run
        more = ", started_at timestamptz" if is_1 else ""
        postgres.run(WORKERS.format(schema=postgres.name, more=more))
        columns = (
            "job bytea NOT NULL, last_result jsonb, metadata jsonb" if is_1 else "job jsonb NOT NULL, last_error text"
        )
        postgres.run(JOBS.format(schema=postgres.name, more=columns))
        self.source = open_source(postgres.url, library_map("apalis", postgres.name))
        self._number = 0

    def worker(self, id, seen_s=0):
        self.run(
            "INSERT INTO workers (id, worker_type, storage_name, last_seen)"
            " VALUES (%s, 'email', 'PostgresStorage', now() + %s * interval '1 s')",
            (id, seen_s),
        )

    def add(self, status, *, run=-60, lock=None, done=None, error=None, **columns):
        self._number += 1
        id = ULID.format(self._number)
        error_column = "last_result" if self.is_1 else "last_error"
        value = json.dumps({"Err": error}) if self.is_1 and error else error
        columns = {"id": id, "status": status, "job_type": "email", error_column: value, **columns}
        moments = {"run_at": run, "lock_at": lock, "done_at": done}
        self.run(
            f"INSERT INTO jobs (job, {', '.join([*columns, *moments])}) VALUES"
            f" (%s, {', '.join(['%s'] * len(columns))}, {', '.join(['now() + %s * interval $$1 s$$'] * 3)})",
            ('{"to": "ann@example.org", "token": "s3cret"}', *columns.values(), *moments.values()),
        )
        return id


@pytest.fixture(params=[pytest.param(False, id="0.7"), pytest.param(True, id="1.0")])
def apalis(request, postgres, open_source):
    return Apalis(postgres, open_source, request.param)


def test_the_states_of_apalis(apalis):
    apalis.worker("w1")
    expected = {
        apalis.add("Pending"): JobState.QUEUED,
        apalis.add("Pending", run=+60): JobState.SCHEDULED,
        apalis.add("Queued"): JobState.QUEUED,
        apalis.add("Running", lock=-5, lock_by="w1"): JobState.RUNNING,
        apalis.add("Done", lock=-5, done=-3): JobState.SUCCEEDED,
        apalis.add("Failed", attempts=2, max_attempts=5, done=-3, error="no"): JobState.RETRYING,
        apalis.add("Failed", attempts=5, max_attempts=5, done=-3, error="no"): JobState.FAILED,
        apalis.add("Killed", attempts=1, max_attempts=5, done=-3, error="no"): JobState.FAILED,
    }
    jobs = apalis.source.find(JobQuery()).jobs

    assert {job.id: job.state for job in jobs} == expected
    (queue,) = apalis.source.sample().queues
    counts = {state.value: count for state, count in queue.counts.items() if count}
    assert counts == {"queued": 2, "scheduled": 1, "running": 1, "retrying": 1}
    for state in JobState:
        found = apalis.source.find(JobQuery(states=frozenset({state}))).jobs
        assert {job.id for job in found} == {id for id, its in expected.items() if its is state}


def test_an_orphan_is_seen_by_its_worker_that_is_late(apalis):
    apalis.worker("alive")
    apalis.worker("dead", seen_s=-400)
    orphan = apalis.add("Running", lock=-500, lock_by="dead")

    sample = apalis.source.sample()

    workers = {worker.id: worker for worker in sample.workers}
    assert workers["dead"].expected_ms < sample.at_ms < workers["alive"].expected_ms
    assert workers["dead"].jobs == (orphan,) and workers["dead"].queues == ("email",)
    assert [job.id for job in sample.running] == [orphan]


def test_run_time_is_without_the_waiting(apalis):
    cursor = apalis.source.sample().cursor
    for run_s in (1.0, 1.3, 1.6):
        apalis.add("Done", run=-40, lock=-10, done=-10 + run_s)
    apalis.add("Failed", attempts=2, max_attempts=5, lock=-10, done=-9)

    jobs = apalis.source.sample(cursor).finished

    assert [job.run_s for job in jobs] == pytest.approx([1.0, 1.3, 1.6], abs=0.01)
    assert [job.wait_s for job in jobs] == pytest.approx([30] * 3, abs=0.01)


def test_a_failed_attempt_waits_since_it_failed(apalis):
    apalis.add("Failed", run=-3600, attempts=1, done=-20, error="no")
    sample = apalis.source.sample()
    assert sample.at_ms - sample.queues[0].oldest_ready_ms == pytest.approx(20_000, abs=10_000)


def test_everything_about_one_job(apalis):
    id = apalis.add("Killed", attempts=1, max_attempts=5, lock=-5, done=-3, error="no such\nuser")
    detail = apalis.source.get(id)
    assert detail.kwargs == {"to": "ann@example.org", "token": "[redacted]"}
    assert (detail.job.enqueued_ms, detail.job.error, detail.job.kind) == (BORN_MS, "no such", "email")
    assert detail.attempts[0].traceback == "no such\nuser"
    assert apalis.source.backend == "apalis"


def test_arguments_are_searched(apalis):
    id = apalis.add("Done", done=-3)
    assert [job.id for job in apalis.source.find(JobQuery(text="ann@")).jobs] == [id]
    assert not apalis.source.find(JobQuery(text="ben@")).jobs


def test_bytes_that_are_no_text_are_shown_as_bytes(postgres, open_source):
    apalis = Apalis(postgres, open_source, is_1=True)
    id = apalis.add("Done", done=-3)
    postgres.run(r"UPDATE jobs SET job = '\x80049500ff'")
    assert apalis.source.get(id).args == ("5 bytes, no text: 80 04 95 00 ff",)
    assert apalis.source.find(JobQuery(text="é")).jobs == ()


def test_a_worker_that_starts_takes_over_what_a_live_one_runs(postgres, open_source):
    """0.7 gives running jobs back whenever a worker starts. The attempt does not rise, the worker changes."""
    apalis = Apalis(postgres, open_source, is_1=False)
    apalis.worker("w1")
    job = apalis.add("Running", lock=-5, lock_by="w1", attempts=1)
    before = apalis.source.sample()
    apalis.run("UPDATE jobs SET status = 'Pending', done_at = NULL, lock_by = NULL, lock_at = NULL")
    apalis.worker("w2")
    apalis.run("UPDATE jobs SET status = 'Running', lock_by = 'w2', lock_at = now()")
    after = apalis.source.sample(before.cursor)

    (first,), (second,) = before.running, after.running
    assert (first.id, first.worker, first.attempt) == (job, "w1", 1)
    assert (second.id, second.worker, second.attempt) == (job, "w2", 1)
    assert all(worker.expected_ms > after.at_ms for worker in after.workers)


def test_its_own_schema_is_the_usual_one():
    table = library_map("apalis")(lambda _name: {})
    assert table.tables() == ["apalis.jobs", "apalis.workers"]
