"""The maps of other libraries, on tables of their shape."""

import json

import pytest

from trackside.exceptions import ConfigError
from trackside.jobs.source import Measure
from trackside.jobs.sql.libraries import LIBRARIES, library_map
from trackside.model.jobs import Fidelity, JobQuery, JobState

OBAN = """
CREATE TYPE oban_job_state AS ENUM (
    'available', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled');
CREATE TABLE oban_jobs (
    id bigserial PRIMARY KEY, state oban_job_state NOT NULL DEFAULT 'available', queue text DEFAULT 'default',
    worker text NOT NULL DEFAULT 'App.Mail', args jsonb DEFAULT '{"to": 1}', errors jsonb[] NOT NULL DEFAULT '{}',
    attempt int DEFAULT 0, max_attempts int DEFAULT 20, priority int DEFAULT 0, tags text[], attempted_by text[],
    inserted_at timestamp DEFAULT timezone('UTC', now()), scheduled_at timestamp DEFAULT timezone('UTC', now()),
    attempted_at timestamp, completed_at timestamp, cancelled_at timestamp, discarded_at timestamp)
"""
RIVER = """
CREATE TYPE river_job_state AS ENUM (
    'available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled');
CREATE TABLE river_job (
    id bigserial PRIMARY KEY, state river_job_state NOT NULL DEFAULT 'available', args jsonb DEFAULT '{"to": 1}',
    attempt smallint DEFAULT 0, attempted_at timestamptz, attempted_by text[], created_at timestamptz DEFAULT now(),
    errors jsonb[], finalized_at timestamptz, kind text DEFAULT 'mail', max_attempts smallint DEFAULT 25,
    priority smallint DEFAULT 1, queue text DEFAULT 'default', scheduled_at timestamptz DEFAULT now(), tags text[]);
CREATE TABLE river_queue (name text PRIMARY KEY, paused_at timestamptz)
"""
PGQUEUER = """
CREATE TYPE pgqueuer_status AS ENUM ('queued', 'picked', 'successful', 'exception', 'canceled', 'deleted');
CREATE TABLE pgqueuer (
    id bigserial PRIMARY KEY, priority int DEFAULT 0, queue_manager_id uuid, created timestamptz DEFAULT now(),
    updated timestamptz DEFAULT now(), heartbeat timestamptz DEFAULT now(), execute_after timestamptz DEFAULT now(),
    status pgqueuer_status NOT NULL DEFAULT 'queued', entrypoint text DEFAULT 'mail', payload bytea,
    attempts int DEFAULT 0);
CREATE TABLE pgqueuer_log (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, created timestamptz DEFAULT now(), job_id bigint,
    status pgqueuer_status, priority int, entrypoint text, traceback jsonb);
CREATE TABLE pgqueuer_schedules (
    id bigserial PRIMARY KEY, expression text, entrypoint text, next_run timestamptz, last_run timestamptz)
"""
GOOD_JOB = """
CREATE TABLE good_jobs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text DEFAULT 'default', priority int,
    serialized_params jsonb DEFAULT '{"job_class": "Mail", "arguments": [1, {"token": "s3cret"}]}',
    scheduled_at timestamp, performed_at timestamp, finished_at timestamp, error text,
    created_at timestamp DEFAULT timezone('UTC', clock_timestamp()), active_job_id uuid DEFAULT gen_random_uuid(),
    concurrency_key text, cron_key text, executions_count int DEFAULT 0, job_class text, locked_by_id uuid);
CREATE TABLE good_job_executions (
    id uuid DEFAULT gen_random_uuid(), active_job_id uuid, created_at timestamp, finished_at timestamp, error text);
CREATE TABLE good_job_processes (id uuid PRIMARY KEY, created_at timestamp, updated_at timestamp, state jsonb)
"""
SOLID_QUEUE = """
CREATE TABLE solid_queue_jobs (
    id bigint PRIMARY KEY, queue_name varchar(99) DEFAULT 'default', class_name varchar(99) DEFAULT 'Mail',
    arguments text, priority int DEFAULT 0, concurrency_key varchar(99), scheduled_at datetime, finished_at datetime,
    created_at datetime);
CREATE TABLE solid_queue_ready_executions (job_id bigint);
CREATE TABLE solid_queue_scheduled_executions (job_id bigint);
CREATE TABLE solid_queue_blocked_executions (job_id bigint);
CREATE TABLE solid_queue_claimed_executions (job_id bigint, process_id bigint, created_at datetime);
CREATE TABLE solid_queue_failed_executions (job_id bigint, error text, created_at datetime);
CREATE TABLE solid_queue_processes (
    id bigint PRIMARY KEY, kind varchar(9), last_heartbeat_at datetime, created_at datetime, pid int,
    hostname varchar(99));
CREATE TABLE solid_queue_pauses (queue_name varchar(99));
CREATE TABLE solid_queue_recurring_tasks (
    `key` varchar(99), schedule varchar(99), command varchar(99), class_name varchar(99), queue_name varchar(99));
CREATE TABLE solid_queue_recurring_executions (task_key varchar(99), run_at datetime)
"""


@pytest.fixture
def opened(open_source):
    def made(database, library, tables):
        for statement in tables.split(";"):
            name = database.dialect.name
            statement = statement.replace("`", '"') if name != "mysql" else statement
            database.run(statement.replace(" datetime", " timestamp") if name == "postgres" else statement)
        return open_source(database.url, library_map(library))

    return made


def states(source):
    return [job.state.value for job in source.find(JobQuery()).jobs][::-1]


def counts(source):
    return {state.value: n for queue in source.sample().queues for state, n in queue.counts.items() if n}


def test_oban(postgres, opened):
    source = opened(postgres, "oban", OBAN)
    cursor = source.sample().cursor
    error = json.dumps({"at": "2026-01-01T00:00:00Z", "attempt": 1, "error": "** (Error) no\n  lib/a.ex:1"})
    postgres.run("INSERT INTO oban_jobs DEFAULT VALUES")
    postgres.run(
        "INSERT INTO oban_jobs (state, scheduled_at) VALUES ('scheduled', timezone('UTC', now()) + interval '1 h')"
    )
    postgres.run("INSERT INTO oban_jobs (state, attempted_at, attempted_by) VALUES ('executing', now(), '{node@a,x}')")
    for state, moment in (("completed", "completed_at"), ("discarded", "discarded_at"), ("cancelled", "cancelled_at")):
        postgres.run(f"INSERT INTO oban_jobs (state, {moment}) VALUES ('{state}', timezone('UTC', now()))")
    postgres.run("INSERT INTO oban_jobs (state, errors) VALUES ('retryable', ARRAY[%s::jsonb])", (error,))

    sample = source.sample(cursor)

    assert states(source) == ["queued", "scheduled", "running", "succeeded", "failed", "cancelled", "retrying"]
    assert counts(source) == {"queued": 1, "scheduled": 1, "running": 1, "retrying": 1}
    assert sample.running[0].worker == "node@a"
    assert [job.state.value for job in sample.finished] == ["succeeded", "failed", "cancelled"]
    (attempt,) = source.get("7").attempts
    assert (attempt.error, attempt.finished_ms) == ("** (Error) no", 1_767_225_600_000)


def test_river(postgres, opened):
    source = opened(postgres, "river", RIVER)
    cursor = source.sample().cursor
    for state in ("available", "pending", "running", "retryable"):
        postgres.run("INSERT INTO river_job (state, attempted_by) VALUES (%s, '{a,b}')", (state,))
    for state in ("completed", "discarded", "cancelled"):
        error = json.dumps({"at": "2026-01-01T00:00:00Z", "attempt": 1, "error": "no", "trace": "main.go:1"})
        postgres.run(
            "INSERT INTO river_job (state, finalized_at, errors) VALUES (%s, now(), ARRAY[%s::jsonb])", (state, error)
        )
    postgres.run("INSERT INTO river_queue VALUES ('default', now()), ('other', NULL)")

    sample = source.sample(cursor)

    assert states(source) == ["queued", "blocked", "running", "retrying", "succeeded", "failed", "cancelled"]
    assert sample.running[0].worker == "b"
    assert sample.queues[0].is_paused
    assert len(sample.finished) == 3
    assert source.get("6").attempts[0].traceback == "main.go:1"


def test_pgqueuer(postgres, opened):
    source = opened(postgres, "pgqueuer", PGQUEUER)
    cursor = source.sample().cursor
    manager = "11111111-1111-1111-1111-111111111111"
    postgres.run("INSERT INTO pgqueuer (payload) VALUES ('{\"to\": 1}'::bytea)")
    postgres.run("INSERT INTO pgqueuer (status, queue_manager_id) VALUES ('picked', %s)", (manager,))
    # In one statement, for which there is one moment.
    postgres.run(
        "INSERT INTO pgqueuer_log (job_id, status, entrypoint, created) VALUES"
        " (7, 'queued', 'mail', now() - interval '9 s'), (7, 'picked', 'mail', now() - interval '5 s'),"
        " (7, 'successful', 'mail', now() - interval '2 s')"
    )
    trace = json.dumps({"exception_type": "ValueError", "exception_message": "no", "traceback": "..."})
    postgres.run(
        "INSERT INTO pgqueuer_log (job_id, status, entrypoint, traceback) VALUES (8, 'exception', 'mail', %s)", (trace,)
    )
    postgres.run(
        "INSERT INTO pgqueuer_schedules (expression, entrypoint, next_run) VALUES ('* * * * *', 'tick', now())"
    )

    sample = source.sample(cursor)

    assert counts(source) == {"queued": 1, "running": 1}
    assert (sample.running[0].worker, sample.workers[0].id) == (manager, manager)
    assert sample.running[0].lease_until_ms > sample.at_ms
    good, bad = sample.finished
    assert (good.id, good.run_s, good.wait_s) == ("7", pytest.approx(3, abs=0.1), pytest.approx(4, abs=0.1))
    assert (bad.id, bad.error) == ("8", "ValueError: no")
    ended = source.find(JobQuery(states=frozenset({JobState.FAILED, JobState.SUCCEEDED}))).jobs
    assert [job.id for job in ended] == ["8", "7"]
    assert source.get("1").kwargs == {"to": 1}
    assert source.get("8").job.state is JobState.FAILED
    assert [(one.name, one.rule) for one in sample.schedules] == [("tick", "* * * * *")]


def test_good_job(postgres, opened):
    source = opened(postgres, "good_job", GOOD_JOB)
    cursor = source.sample().cursor
    process = "11111111-1111-1111-1111-111111111111"
    for columns in (
        {},
        {"scheduled_at": "timezone('UTC', now()) + interval '1 h'"},
        {"performed_at": "timezone('UTC', now())", "locked_by_id": f"'{process}'"},
        {"error": "'KeyError: no'", "executions_count": "1"},
        {"finished_at": "timezone('UTC', now())"},
        {"finished_at": "timezone('UTC', now())", "error": "'KeyError: no'"},
    ):
        columns["job_class"] = "'Mail'"
        postgres.run(f"INSERT INTO good_jobs ({', '.join(columns)}) VALUES ({', '.join(columns.values())})")
    postgres.run(
        'INSERT INTO good_job_processes VALUES (%s, now(), timezone(\'UTC\', now()), \'{"hostname": "a", "pid": 7}\')',
        (process,),
    )
    postgres.run(
        "INSERT INTO good_job_executions (active_job_id, created_at, finished_at, error)"
        " SELECT active_job_id, now(), now(), 'KeyError: no' FROM good_jobs WHERE executions_count = 1"
    )

    sample = source.sample(cursor)

    assert states(source) == ["queued", "scheduled", "running", "retrying", "succeeded", "failed"]
    assert [(one.id, one.host, one.process, one.state) for one in sample.workers] == [(process, "a", 7, "busy")]
    assert sorted(job.state.value for job in sample.finished) == ["failed", "succeeded"]
    (retrying,) = source.find(JobQuery(states=frozenset({JobState.RETRYING}))).jobs
    detail = source.get(retrying.id)
    assert detail.args == (1, {"token": "[redacted]"})
    assert [(one.outcome, one.error) for one in detail.attempts] == [("failed", "KeyError: no")]
    assert source.get("no uuid") is None
    page = source.find(JobQuery(), limit=4)
    assert len({job.id for job in (*page.jobs, *source.find(JobQuery(), page.next).jobs)}) == 6


def test_solid_queue(database, opened):
    source = opened(database, "solid_queue", SOLID_QUEUE)
    cursor = source.sample().cursor
    now = {"postgres": "timezone('UTC', now())"}.get(database.dialect.name, database.now)
    for id in range(1, 7):
        finished = now if id == 5 else "NULL"
        due = {
            "postgres": f"{now} + interval '1 h'",
            "mysql": f"{now} + INTERVAL 1 HOUR",
            "sqlite": "datetime('now', '1 hour')",
        }
        scheduled = due[database.dialect.name] if id == 2 else now
        database.run(
            "INSERT INTO solid_queue_jobs (id, arguments, scheduled_at, finished_at, created_at) VALUES"
            f" ({id}, '{{\"arguments\": [1]}}', {scheduled}, {finished}, {now})"
        )
    for name, job in (("ready", 1), ("scheduled", 2), ("blocked", 4)):
        database.run(f"INSERT INTO solid_queue_{name}_executions (job_id) VALUES ({job})")
    database.run(f"INSERT INTO solid_queue_claimed_executions VALUES (3, 17, {now})")
    database.run(
        f'INSERT INTO solid_queue_failed_executions VALUES (6, \'{{"exception_class": "E", "message": "no"}}\', {now})'
    )
    database.run(f"INSERT INTO solid_queue_processes VALUES (17, 'Worker', {now}, {now}, 99, 'a')")
    database.run("INSERT INTO solid_queue_pauses VALUES ('default')")
    database.run("INSERT INTO solid_queue_recurring_tasks VALUES ('nightly', 'every night', NULL, 'Nightly', 'low')")
    database.run(f"INSERT INTO solid_queue_recurring_executions VALUES ('nightly', {now})")

    sample = source.sample(cursor)

    assert states(source) == ["queued", "scheduled", "running", "blocked", "succeeded", "failed"]
    assert counts(source) == {"queued": 1, "scheduled": 1, "running": 1, "blocked": 1}
    assert [(one.id, one.jobs, one.process) for one in sample.workers] == [("17", ("3",), 99)]
    assert sample.queues[0].is_paused
    assert sorted(job.error or "" for job in sample.finished) == ["", "E: no"]
    assert source.fidelity[Measure.LATENCY] is Fidelity.NEEDS_HOOK
    assert [(one.name, one.kind, one.rule) for one in sample.schedules] == [("nightly", "Nightly", "every night")]
    assert abs(sample.schedules[0].last_ms - sample.at_ms) < 60_000


@pytest.mark.parametrize(
    ("name", "schema", "message"),
    [("resque", "", "none of the known job libraries: procrastinate"), ("oban", "a;b", "not the name of a schema")],
)
def test_what_is_not_known_is_refused(name, schema, message):
    with pytest.raises(ConfigError, match=message):
        library_map(name, schema)


@pytest.mark.parametrize("name", [name for name in LIBRARIES if name != "jobs"])
def test_every_map_can_be_in_a_schema(name):
    table = library_map(name, "other")(lambda _table: {})
    assert all(one.startswith("other.") for one in table.tables())
    texts = [text for text in (table.joins, table.history, table.finished, *(table.indexes)) if text]
    assert not [text for text in texts if " FROM procrastinate" in text or " FROM good_job" in text]
