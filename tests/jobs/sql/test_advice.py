"""Statements to copy: they are valid, and they help."""

import pytest

from trackside.jobs.sql.advice import grants, suggested_indexes
from trackside.jobs.sql.connection import TookTooLongError
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE
from trackside.jobs.sql.libraries import library_map
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.table_map import TableMap
from trackside.model.jobs import JobState

ROWS = 30_000
NUMBERS = {
    "postgres": f"(SELECT n FROM generate_series(1, {ROWS}) n) r",
    "mysql": f"(SELECT seq AS n FROM seq_1_to_{ROWS}) r",
    "sqlite": f"(WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) SELECT n FROM r) r",
}


def filled(database):
    """Many jobs that have ended, a few that wait."""
    moment = "datetime" if database.dialect.name == "mysql" else "timestamp"
    ended = "'2026-01-02'" if database.dialect.name == "sqlite" else f"CAST('2026-01-02' AS {moment})"
    key = {"postgres": "bigserial PRIMARY KEY", "mysql": "bigint AUTO_INCREMENT PRIMARY KEY"}
    database.run(
        f"CREATE TABLE jobs (id {key.get(database.dialect.name, 'INTEGER PRIMARY KEY')}, queue varchar(20) NOT NULL,"
        f" status varchar(20) NOT NULL, created_at {moment} NOT NULL, run_at {moment} NOT NULL, finished_at {moment},"
        " payload varchar(400))"
    )
    padding = "x" * 300
    database.run(
        "INSERT INTO jobs (queue, status, created_at, run_at, finished_at, payload)"
        " SELECT 'high', CASE WHEN n % 500 = 0 THEN 'queued' ELSE 'succeeded' END, '2026-01-01', '2026-01-01',"
        f" CASE WHEN n % 500 = 0 THEN NULL ELSE {ended} END, '{padding}' FROM {NUMBERS[database.dialect.name]}"
    )
    database.run("ANALYZE" if database.dialect.name != "mysql" else "ANALYZE TABLE jobs")


def test_a_look_that_reads_everything_says_which_indexes_help_and_they_do(database, open_source):
    filled(database)
    first = open_source(database.url, plain())
    notes = " ".join(first.sample().notes)
    assert "reads all of jobs" in notes
    indexes = suggested_indexes(first.table, database.dialect, first.columns)
    assert len(indexes) == 2 and all(index in notes for index in indexes)

    for index in indexes:
        database.run(index)
    database.run("ANALYZE" if database.dialect.name != "mysql" else "ANALYZE TABLE jobs")

    second = open_source(database.url, plain())
    assert "reads all" not in " ".join(second.sample().notes)


def test_a_look_that_takes_too_long_says_which_indexes_help(postgres, open_source):
    filled(postgres)
    slow = TableMap(
        table="jobs",
        states={"queued": JobState.QUEUED, "succeeded": JobState.SUCCEEDED},
        live="j.status = 'queued' AND pg_sleep(0.05) IS NOT NULL",
        finished="finished_at",
    )
    with pytest.raises(TookTooLongError, match=r"took longer than 1 s.* reads all of jobs.*CREATE INDEX"):
        open_source(postgres.url, slow, time_out_s=1).sample()


def test_indexes_of_postgres():
    table = TableMap(
        table="app.jobs",
        states={"queued": JobState.QUEUED, "done": JobState.SUCCEEDED},
        queue="queue",
        due="run_at",
        enqueued="created_at",
        finished="finished_at",
    )
    assert suggested_indexes(table) == (
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_live_trackside" ON "app"."jobs" ("status", "queue", "run_at",'
        ' "created_at") WHERE "status" IN (\'queued\');',
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_ended_trackside" ON "app"."jobs" ("finished_at", "id")'
        ' WHERE "finished_at" IS NOT NULL;',
    )


@pytest.mark.parametrize("library", ["oban", "good_job", "apalis", "procrastinate"])
def test_libraries_have_their_own_indexes(library):
    table = library_map(library)(lambda _name: {})
    indexes = suggested_indexes(table)
    assert indexes and not [index for index in indexes if "{table}" in index]


def test_grants_name_every_table_and_only_reading():
    text = grants(library_map("apalis")(lambda _name: {}), role="monitor")
    assert text.splitlines() == [
        "CREATE ROLE \"monitor\" LOGIN PASSWORD '...';",
        'ALTER ROLE "monitor" SET default_transaction_read_only = on;',
        "ALTER ROLE \"monitor\" SET statement_timeout = '2s';",
        'GRANT USAGE ON SCHEMA "apalis" TO "monitor";',
        'GRANT SELECT ON "apalis"."jobs", "apalis"."workers" TO "monitor";',
    ]


def test_grants_of_the_others():
    table = TableMap(table="jobs", states={"queued": JobState.QUEUED})
    assert "GRANT SELECT ON your_database.`jobs` TO 'trackside'@'%';" in grants(table, MYSQL)
    assert "mode=ro" in grants(table, SQLITE)
    assert 'GRANT SELECT ON "jobs"' in grants(table, POSTGRES)
