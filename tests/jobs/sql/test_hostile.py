"""Tables with odd values, and with far too many."""

import json

import pytest

from trackside.jobs.source import MAX_SEARCHED
from trackside.jobs.sql.finding import MAX_READ
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.table_map import TableMap, Times
from trackside.model.jobs import JobQuery, JobState

COLUMNS = (
    "queue, kind, status, payload, attempts, created_at, run_at, started_at, finished_at, error, worker, heartbeat_at"
)
HUGE = (2**62, -(2**62), 1e300, float("inf"), "9" * 400)
ODD = [None, "", "x", "\0", -1, 0, *HUGE, b"\xff\x00", "2026-13-45", "\U0001f600"]


def test_sqlite_has_any_value_in_any_column(sqlite, open_source):
    sqlite.run(f"CREATE TABLE jobs (id, {COLUMNS})")
    source = open_source(sqlite.url, plain())
    cursor = source.sample().cursor
    for number, value in enumerate(ODD):
        for status in ("queued", "running", "succeeded", value):
            values = [value] * 12
            values[3] = status
            sqlite.run(f"INSERT INTO jobs VALUES (?, {', '.join('?' * 12)})", [f"{number} {status}", *values])
    sqlite.run(f"INSERT INTO jobs (id) VALUES {', '.join(['(?)'] * len(ODD))}", ODD)

    for _ in range(3):
        sample = source.sample(cursor)
        cursor = json.loads(json.dumps(sample.cursor))
    pages, after = 0, ""
    while pages == 0 or after:
        page = source.find(JobQuery(), after, limit=7)
        pages, after = pages + 1, page.next
        for job in page.jobs:
            source.get(job.id)
        assert pages < 30
    source.find(JobQuery(text="x", queue="x", kind="x", worker="x", states=frozenset(JobState)))


def test_moments_beyond_all_measure(postgres, open_source):
    postgres.run(
        "CREATE TABLE jobs (id int, status text, created_at timestamptz, run_at timestamptz, finished_at timestamptz)"
    )
    for moment in ("infinity", "-infinity", "4713-01-01 BC", "290000-01-01"):
        for status in ("queued", "running", "done"):
            postgres.run(
                "INSERT INTO jobs SELECT 1, %s, m, m, m FROM (SELECT %s::timestamptz AS m) x", (status, moment)
            )
    source = open_source(postgres.url, plain())

    sample = source.sample(source.sample().cursor)

    assert sum(sample.queues[0].counts.values()) == 8
    assert len(source.find(JobQuery()).jobs) == 12


@pytest.mark.parametrize("times", [Times.SECONDS, Times.MILLISECONDS])
def test_moments_as_numbers(database, open_source, times):
    factor = 1 if times is Times.SECONDS else 1000
    now = {
        "postgres": "extract(epoch FROM now())::bigint",
        "mysql": "UNIX_TIMESTAMP()",
        "sqlite": "CAST(strftime('%s', 'now') AS INTEGER)",
    }[database.dialect.name]
    database.run("CREATE TABLE jobs (id int PRIMARY KEY, status varchar(9), run_at bigint, finished_at bigint)")
    states = {"queued": JobState.QUEUED, "done": JobState.SUCCEEDED}
    table = TableMap(table="jobs", states=states, due="run_at", finished="finished_at", times=times)
    source = open_source(database.url, table)
    cursor = source.sample().cursor
    database.run(f"INSERT INTO jobs VALUES (1, 'queued', ({now} - 60) * {factor}, NULL)")
    database.run(f"INSERT INTO jobs VALUES (2, 'queued', ({now} + 60) * {factor}, NULL)")
    database.run(f"INSERT INTO jobs VALUES (3, 'done', ({now} - 60) * {factor}, ({now} - 1) * {factor})")

    sample = source.sample(cursor)

    (queue,) = sample.queues
    assert (queue.counts[JobState.QUEUED], queue.counts[JobState.SCHEDULED]) == (1, 1)
    assert sample.at_ms - queue.oldest_ready_ms == pytest.approx(60_000, abs=30_000)
    assert [job.id for job in sample.finished] == ["3"]
    assert [job.id for job in source.find(JobQuery(states=frozenset({JobState.SCHEDULED}))).jobs] == ["2"]


def test_a_search_ends_at_the_newest_hundred_thousand_and_says_so(sqlite, open_source):
    sqlite.run("CREATE TABLE jobs (id INTEGER PRIMARY KEY, status text, error text)")
    sqlite.run(
        "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < ?)"
        " INSERT INTO jobs SELECT n, 'failed', CASE WHEN n IN (10, 11, 12) THEN 'rare' END FROM r",
        (MAX_SEARCHED + 10,),
    )
    source = open_source(sqlite.url, plain())

    pages = [source.find(JobQuery(text="rare"))]
    while pages[-1].next:
        pages.append(source.find(JobQuery(text="rare"), pages[-1].next))

    assert [job.id for page in pages for job in page.jobs] == ["12", "11"]
    assert all(page.is_cut for page in pages)
    assert len(pages) <= MAX_SEARCHED // MAX_READ + 1
    assert source.get("10").job.error == "rare"


def test_more_than_a_sample_holds_is_reported_in_several(postgres, open_source):
    postgres.run("CREATE TABLE jobs (id bigserial PRIMARY KEY, status text, finished_at timestamptz)")
    source = open_source(postgres.url, plain())
    cursor, seen = source.sample().cursor, []
    postgres.run("INSERT INTO jobs (status, finished_at) SELECT 'done', now() FROM generate_series(1, 12000)")
    for _ in range(4):
        sample = source.sample(cursor)
        cursor = json.loads(json.dumps(sample.cursor))
        seen += [int(job.id) for job in sample.finished]
        assert len(sample.finished) <= 5_000
    assert seen == list(range(1, 12_001))
    assert len(json.dumps(cursor)) < 25_000
