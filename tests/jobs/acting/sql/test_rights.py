"""Acting with the rights that are printed: each verb is done, and nothing else is."""

import uuid
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from trackside.jobs.acting.sql.actor import SqlActor
from trackside.jobs.acting.sql.apalis import apalis
from trackside.jobs.acting.sql.procrastinate import procrastinate
from trackside.jobs.acting.sql.rights import apalis_grants, procrastinate_grants, table_grants
from trackside.jobs.acting.sql.table import table
from trackside.jobs.acting.sql.writing import Database
from trackside.jobs.actor import Verb
from trackside.jobs.sql.plain import plain

TABLE = "CREATE TABLE jobs (id int PRIMARY KEY, status varchar(20) NOT NULL, finished_at {moment} NULL, attempts int)"
WORDS = ("queued", "failed", "cancelled", "succeeded", "processing")


def allowed_url(database, statements):
    """Of a role made by the statements."""
    role = f"r{uuid.uuid4().hex[:12]}"
    for statement in statements.split(";"):
        if statement.strip() and not statement.strip().startswith("--"):
            text = statement.replace("trackside_acts", role).replace("your_database", database.name)
            database.run(text.replace("'...'", "'secret'").replace('"public"', f'"{database.name}"'))
    if database.dialect.name == "mysql":
        return database.url.replace("root@", f"{role}:secret@")
    return database.url.replace("postgres@", f"{role}:secret@")


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_teams_own_table(kind, request):
    database = request.getfixturevalue(kind)
    database.run(TABLE.format(moment="datetime(6)" if kind == "mysql" else "timestamptz"))
    for id, word in enumerate(WORDS):
        database.run(f"INSERT INTO jobs VALUES ({id}, '{word}', NULL, 1)")
    database.run("CREATE TABLE people (id int)")
    where = f"{database.name}.jobs"
    url = allowed_url(database, table_grants(where, database.dialect).replace('SCHEMA "public"', database.name))
    actor = SqlActor(Database(url), table(plain("jobs"), "jobs"))

    assert actor.act(Verb.RETRY, ["1"]) == {"1": ""}
    assert actor.act(Verb.CANCEL, ["0"]) == {"0": ""}
    assert actor.act(Verb.DELETE, ["3", "4"]) == {"3": "", "4": "it is processing now"}
    refused_everywhere(url, ["SELECT * FROM people", "INSERT INTO jobs (id, status) VALUES (9, 'queued')"])


@pytest.mark.parametrize("is_1", [pytest.param(False, id="0.7"), pytest.param(True, id="1.0")])
def test_apalis(postgres, is_1):
    more = "job bytea, last_result jsonb" if is_1 else "job jsonb, last_error text"
    postgres.run("CREATE TABLE workers (id text PRIMARY KEY)")
    postgres.run(
        "CREATE TABLE jobs (id text PRIMARY KEY, job_type text, status text, attempts int DEFAULT 0, max_attempts int"
        " DEFAULT 5, run_at timestamptz DEFAULT now(), lock_at timestamptz, lock_by text REFERENCES workers,"
        f" done_at timestamptz, {more})"
    )
    for word in ("Pending", "Killed", "Done"):
        postgres.run("INSERT INTO jobs (id, status) VALUES (%s, %s)", (word.lower(), word))
    url = allowed_url(postgres, apalis_grants(postgres.name, is_1=is_1))
    actor = SqlActor(Database(url), apalis(postgres.name))

    assert actor.act(Verb.RETRY, ["killed"]) == {"killed": ""}
    assert actor.act(Verb.CANCEL, ["pending"]) == {"pending": ""}
    assert actor.act(Verb.DELETE, ["done"]) == {"done": ""}
    refused_everywhere(
        url, ["UPDATE jobs SET job = NULL", "SELECT * FROM workers", "INSERT INTO jobs (id) VALUES ('x')"]
    )


SCHEMA = """
import asyncio, sys
import procrastinate
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))

@app.periodic(cron="* * * * *")
@app.task(queue="mail", name="nightly")
def nightly(timestamp): pass

@app.task(queue="mail", name="send")
def send(to): raise ValueError("no such address")

async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await send.defer_async(to="ann")
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        for _ in range(2):
            await send.configure(schedule_in={"hours": 1}).defer_async(to="ann")

asyncio.run(main())
"""


def test_procrastinate(postgres, script_in, library):
    script_in(library("procrastinate"), SCHEMA, postgres.url)
    url = allowed_url(postgres, procrastinate_grants(postgres.name))
    actor = SqlActor(Database(url), procrastinate(postgres.name))
    ids = {name: str(id) for id, name in postgres.run("SELECT id, status::text FROM procrastinate_jobs ORDER BY id")}
    waiting = [str(id) for (id,) in postgres.run("SELECT id FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")]
    postgres.run(
        "INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id) VALUES ('nightly', 1, %s)",
        (waiting[-1],),
    )

    assert actor.act(Verb.RETRY, [ids["failed"]]) == {ids["failed"]: ""}
    assert actor.act(Verb.CANCEL, [waiting[0]]) == {waiting[0]: ""}
    assert actor.act(Verb.DELETE, [waiting[-1]]) == {waiting[-1]: ""}
    assert postgres.run("SELECT job_id FROM procrastinate_periodic_defers WHERE defer_timestamp = 1") == [(None,)]
    refused_everywhere(
        url, ["DELETE FROM procrastinate_workers", "DELETE FROM procrastinate_events", "DROP TABLE procrastinate_jobs"]
    )


def refused_everywhere(url, statements):
    for statement in statements:
        if url.startswith("mysql"):
            parts = urlsplit(url)
            connection = pymysql.connect(
                host="127.0.0.1", port=parts.port, user=parts.username, password="secret", database=parts.path[1:]
            )
            with connection, connection.cursor() as cursor, pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)
            continue
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
