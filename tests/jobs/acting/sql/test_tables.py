"""Actions on tables: a team's own in all three databases, the library part's outbox, apalis."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from trackside.exceptions import SourceError
from trackside.jobs.acting.sql.actor import SqlActor
from trackside.jobs.acting.sql.apalis import apalis
from trackside.jobs.acting.sql.table import table
from trackside.jobs.acting.sql.writing import Database
from trackside.jobs.actor import GONE, Verb
from trackside.jobs.sql.libraries import library_map
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.table_map import TableMap
from trackside.model.jobs import JobState
from trackside.outbox.work_queue import Push, WorkQueue

COLUMNS = (
    "id varchar(20) PRIMARY KEY, status varchar(20) NOT NULL DEFAULT 'queued', queue varchar(20), created_at {moment},"
    " run_at {moment}, started_at {moment} NULL, finished_at {moment} NULL, attempts int, max_attempts int,"
    " worker varchar(20), error varchar(100)"
)


class Table:
    def __init__(self, database, more=""):
        self.run, self.now = database.run, database.now
        moment = "datetime(6)" if database.dialect.name == "mysql" else "timestamp"
        self.run(f"CREATE TABLE jobs ({COLUMNS.format(moment=moment)}{more})")
        self.actor = SqlActor(Database(database.url), table(plain("jobs"), "jobs"))

    def add(self, id, status):
        ended = self.now if status in ("succeeded", "failed", "cancelled") else "NULL"
        self.run(
            f"INSERT INTO jobs VALUES ('{id}', '{status}', 'high', {self.now}, '2020-01-01 00:00:00', {self.now},"
            f" {ended}, 3, 3, 'w-1', 'no such thing')"
        )

    def row(self, id):
        rows = self.run(
            f"SELECT status, started_at, finished_at, attempts, worker, error, run_at FROM jobs WHERE id = '{id}'"
        )
        return rows[0] if rows else None


@pytest.fixture
def jobs(database):
    one = Table(database)
    for status in ("queued", "processing", "succeeded", "failed", "cancelled"):
        one.add(status, status)
    return one


class TestATeamsOwnTable:
    def test_retry_begins_anew(self, jobs):
        outcomes = jobs.actor.act(Verb.RETRY, ["failed", "processing", "none"])

        assert outcomes == {"failed": "", "processing": "it is processing now", "none": GONE}
        *rest, run_at = jobs.row("failed")
        assert rest == ["queued", None, None, 0, None, None]
        assert str(run_at) > "2026"
        assert jobs.row("processing")[0] == "processing"

    def test_cancel_ends_what_waits_and_nothing_that_runs(self, jobs):
        assert jobs.actor.act(Verb.CANCEL, ["queued", "processing"]) == {
            "queued": "",
            "processing": "it is processing now",
        }
        assert jobs.row("queued")[0] == "cancelled" and jobs.row("queued")[2] is not None

    def test_delete_spares_what_runs(self, jobs):
        outcomes = jobs.actor.act(Verb.DELETE, ["queued", "succeeded", "failed", "cancelled", "processing"])

        assert outcomes == {
            "queued": "",
            "succeeded": "",
            "failed": "",
            "cancelled": "",
            "processing": "it is processing now",
        }
        assert jobs.run("SELECT id FROM jobs") in ([("processing",)], (("processing",),))

    def test_ids_are_values_and_never_sql(self, jobs):
        hostile = ["' OR 1=1 --", "failed' OR 'a'='a", "%s", "?", "a" * 400]

        assert set(jobs.actor.act(Verb.DELETE, hostile).values()) == {GONE}
        assert len(jobs.run("SELECT id FROM jobs")) == 5

    def test_abilities_say_which_states(self, jobs):
        abilities = jobs.actor.abilities
        assert jobs.actor.verbs == {Verb.RETRY, Verb.CANCEL, Verb.DELETE}
        assert abilities[Verb.RETRY].states == {JobState.FAILED, JobState.CANCELLED}
        assert JobState.RUNNING not in abilities[Verb.DELETE].states | abilities[Verb.CANCEL].states


def test_what_a_table_cannot_say_is_no_verb(database):
    """No row, no check and no type has a word for cancelled."""
    one = Table(database)
    one.add("a", "queued")
    one.add("b", "failed")

    assert Verb.CANCEL not in one.actor.verbs
    assert one.actor.act(Verb.CANCEL, ["a"]) == {"a": "this table cannot say that a job is cancelled"}
    assert one.actor.act(Verb.RETRY, ["b"]) == {"b": ""}


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_words_are_read_from_a_check(kind, request):
    database = request.getfixturevalue(kind)
    one = Table(database, ", CHECK (status IN ('queued', 'processing', 'succeeded', 'failed', 'canceled'))")
    one.add("a", "queued")

    assert one.actor.act(Verb.CANCEL, ["a"]) == {"a": ""}
    assert one.row("a")[0] == "canceled"


def test_words_are_read_from_an_enumeration(postgres):
    postgres.run("CREATE TYPE word AS ENUM ('pending', 'running', 'done', 'failed', 'aborted')")
    postgres.run("CREATE TABLE jobs (id bigint PRIMARY KEY, status word NOT NULL)")
    postgres.run("INSERT INTO jobs VALUES (1, 'failed'), (2, 'pending'), (3, 'running')")
    actor = SqlActor(Database(postgres.url), table(plain("jobs"), "jobs"))

    outcomes = actor.act(Verb.RETRY, ["1", "x"])
    assert outcomes["1"] == "" and "invalid input syntax" in outcomes["x"]
    assert actor.act(Verb.CANCEL, ["2", "3"]) == {"2": "", "3": "it is running now"}
    assert postgres.run("SELECT status::text FROM jobs ORDER BY id") == [("pending",), ("aborted",), ("running",)]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("2020-01-01T00:00:00.000000Z", "T.*Z$", id="T and Z"),
        pytest.param("2020-01-01T00:00:00+00:00", r"T.*\+00:00$", id="T and an offset"),
        pytest.param("2020-01-01 00:00:00", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$", id="a space"),
    ],
)
def test_sqlite_times_keep_the_format_that_the_application_compares_with(sqlite, before, expected):
    import re

    sqlite.run("CREATE TABLE jobs (id integer PRIMARY KEY, status text, run_at text NOT NULL)")
    sqlite.run("INSERT INTO jobs VALUES (1, 'failed', ?), (2, 'queued', ?)", (before, before))
    actor = SqlActor(Database(sqlite.url), table(plain("jobs"), "jobs"))

    assert actor.act(Verb.RETRY, ["1"]) == {"1": ""}
    (run_at,) = sqlite.run("SELECT run_at FROM jobs WHERE id = 1")[0]
    assert re.search(expected, run_at) and run_at > before


def test_times_that_are_numbers_stay_whole(sqlite):
    sqlite.run("CREATE TABLE jobs (id integer PRIMARY KEY, status text, created_at integer, run_at integer)")
    sqlite.run("INSERT INTO jobs VALUES (1, 'failed', 1577836800, 1577836800), (2, 'queued', 0, 0)")
    actor = SqlActor(Database(sqlite.url), table(plain("jobs"), "jobs"))

    assert actor.act(Verb.RETRY, ["1"]) == {"1": ""}
    ((kind, run_at),) = sqlite.run("SELECT typeof(run_at), run_at FROM jobs WHERE id = 1")
    assert kind == "integer" and run_at > 1_700_000_000


def test_a_state_that_is_an_expression_cannot_be_set(sqlite):
    sqlite.run("CREATE TABLE outbox (id integer PRIMARY KEY, published_at text)")
    mapped = TableMap(table="outbox", states={"sent": JobState.SUCCEEDED}, state="CASE WHEN 1 THEN 'sent' END")

    assert SqlActor(Database(sqlite.url), table(mapped)).verbs == frozenset()


def test_a_locked_row_is_a_reason_and_the_next_one_is_done(postgres):
    one = Table(postgres)
    one.add("a", "failed")
    one.add("b", "failed")
    one.add("c", "queued")
    with psycopg.connect(postgres.url) as other:
        other.execute("SELECT * FROM jobs WHERE id = 'a' FOR UPDATE")
        outcomes = one.actor.act(Verb.RETRY, ["a", "b"])

    assert outcomes["a"].startswith("the database refused: ") and "lock timeout" in outcomes["a"]
    assert outcomes["b"] == ""


def test_a_role_that_may_only_read_changes_nothing(postgres):
    one = Table(postgres)
    one.add("a", "failed")
    one.add("b", "queued")
    url = postgres.reader_url(plain_map(postgres))
    actor = SqlActor(Database(url), table(plain("jobs"), "jobs"))

    (reason,) = actor.act(Verb.RETRY, ["a"]).values()

    assert reason == "the database refused: cannot execute UPDATE in a read-only transaction"
    assert one.row("a")[0] == "failed"


def plain_map(postgres):
    return TableMap(table="jobs", states={"queued": JobState.QUEUED})


def test_a_database_that_is_away_has_no_verbs_and_does_nothing(tmp_path):
    actor = SqlActor(Database("postgresql://trackside:s3cret@127.0.0.1:1/app"), apalis())
    missing = SqlActor(Database(f"sqlite:///{tmp_path}/none.db"), table(plain("jobs"), "jobs"))

    assert actor.verbs == missing.verbs == frozenset()
    with pytest.raises(SourceError, match="cannot be written to") as error:
        actor.act(Verb.RETRY, ["1"])
    assert "s3cret" not in str(error.value)
    with pytest.raises(SourceError):
        missing.act(Verb.RETRY, ["1"])
    assert not (tmp_path / "none.db").exists()


class TestTheOutbox:
    @pytest.fixture(params=["postgres", "sqlite"])
    def work(self, request):
        database = request.getfixturevalue(request.param)

        def connect():
            if request.param == "sqlite":
                return sqlite3.connect(database.path, isolation_level=None, timeout=5)
            return psycopg.connect(database.url, autocommit=True)

        queue = WorkQueue(connect, "mail")
        queue.create()
        with closing(connect()) as connection:
            for number in range(4):
                queue.push(connection, Push("send", {"to": number}, max_attempts=1))
            (claimed,) = queue.claim(connection, "w-1")
            assert queue.fail(connection, claimed, "no") == "dead"
            (running,) = queue.claim(connection, "w-1")
            actor = SqlActor(Database(database.url), table(plain("trackside_work"), "trackside_work"))
            yield queue, connection, actor, running

    def test_revived_it_is_claimed_again_with_all_its_attempts(self, work):
        queue, connection, actor, _ = work

        assert actor.act(Verb.RETRY, ["1", "2", "3"]) == {
            "1": "",
            "2": "it is running now",
            "3": "it is queued now",
        }
        claimed = {one.id: one for one in queue.claim(connection, "w-2", 10)}
        assert claimed[1].attempt == 1 and set(claimed) == {1, 3, 4}

    def test_cancelled_it_is_never_claimed(self, work):
        queue, connection, actor, running = work

        assert actor.act(Verb.CANCEL, ["3", "2"]) == {"3": "", "2": "it is running now"}
        assert [one.id for one in queue.claim(connection, "w-2", 10)] == [4]
        assert queue.finish(connection, running)

    def test_deleted_it_is_gone_and_its_worker_is_not_disturbed(self, work):
        queue, connection, actor, running = work

        assert actor.act(Verb.DELETE, ["1", "2", "3"]) == {"1": "", "2": "it is running now", "3": ""}
        assert queue.finish(connection, running)


class TestApalis:
    @pytest.fixture(params=[pytest.param(False, id="0.7"), pytest.param(True, id="1.0")])
    def one(self, request, postgres, open_source):
        more = "job bytea, last_result jsonb, metadata jsonb" if request.param else "job jsonb, last_error text"
        postgres.run("CREATE TABLE workers (id text PRIMARY KEY, worker_type text, last_seen timestamptz)")
        postgres.run(
            "CREATE TABLE jobs (id text PRIMARY KEY, job_type text NOT NULL, status text NOT NULL DEFAULT 'Pending',"
            " attempts int NOT NULL DEFAULT 0, max_attempts int NOT NULL DEFAULT 25, run_at timestamptz NOT NULL"
            f" DEFAULT now(), lock_at timestamptz, lock_by text REFERENCES workers, done_at timestamptz, {more})"
        )
        postgres.run("INSERT INTO workers VALUES ('w', 'email', now())")
        for id, status, attempts in (
            ("pending", "Pending", 0),
            ("claimed", "Queued", 0),
            ("running", "Running", 1),
            ("done", "Done", 1),
            ("again", "Failed", 2),
            ("failed", "Failed", 25),
            ("killed", "Killed", 1),
        ):
            worker = None if status == "Pending" else "w"
            postgres.run(
                "INSERT INTO jobs (id, job_type, status, attempts, lock_by, lock_at, done_at)"
                " VALUES (%s, 'email', %s, %s, %s, now(), now())",
                (id, status, attempts, worker),
            )
        actor = SqlActor(Database(postgres.url), apalis(postgres.name))
        return postgres, actor, open_source(postgres.url, library_map("apalis", postgres.name))

    def test_retry(self, one):
        postgres, actor, source = one

        outcomes = actor.act(Verb.RETRY, ["failed", "killed", "again", "running"])

        assert outcomes == {"failed": "", "killed": "", "again": "it is Failed now", "running": "it is Running now"}
        assert source.get("failed").job.state is JobState.QUEUED
        rows = postgres.run("SELECT status, attempts, lock_by, lock_at, done_at FROM jobs WHERE id = 'failed'")
        assert rows == [("Pending", 0, None, None, None)]

    def test_cancel_leaves_what_a_worker_has_claimed(self, one):
        _, actor, source = one

        outcomes = actor.act(Verb.CANCEL, ["pending", "again", "claimed", "running"])

        assert outcomes == {
            "pending": "",
            "again": "",
            "claimed": "it is Queued now",
            "running": "it is Running now",
        }
        assert source.get("pending").job.raw_state == "Killed"

    def test_delete(self, one):
        postgres, actor, _ = one
        ids = ["pending", "claimed", "running", "done", "again", "failed", "killed"]

        outcomes = actor.act(Verb.DELETE, ids)

        assert {id for id, reason in outcomes.items() if reason} == {"claimed", "running"}
        assert len(postgres.run("SELECT id FROM jobs")) == 2
