"""A plain table of jobs, the same in all three databases."""

import json

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.source import Measure
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.table_map import TableMap, WorkersTable
from trackside.model.jobs import Fidelity, JobQuery, JobState

IDS = {
    "postgres": "bigserial PRIMARY KEY",
    "mysql": "bigint AUTO_INCREMENT PRIMARY KEY",
    "sqlite": "INTEGER PRIMARY KEY",
}
MOMENTS = {"postgres": "timestamptz", "mysql": "datetime(6)", "sqlite": "timestamp"}
SHIFTS = {
    "postgres": "now() + interval '{} second'",
    "mysql": "DATE_ADD(UTC_TIMESTAMP(6), INTERVAL {} SECOND)",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '{} seconds')",
}
COLUMNS = ("created_at", "run_at", "started_at", "finished_at", "lease_until")


class Jobs:
    """The table, and rows for it whose moments are seconds from now."""

    def __init__(self, database, open_source):
        self.database = database
        self.name = database.dialect.name
        moments = ", ".join(f"{column} {MOMENTS[self.name]}" for column in COLUMNS)
        payload = {"postgres": "jsonb", "mysql": "json", "sqlite": "text"}[self.name]
        database.run(
            f"CREATE TABLE jobs (id {IDS[self.name]}, queue varchar(100) DEFAULT 'default', kind varchar(100),"
            f" status varchar(20), payload {payload}, attempts int DEFAULT 0, max_attempts int DEFAULT 5, {moments},"
            " error text, worker varchar(100))"
        )
        self.source = open_source(database.url, plain())

    def add(self, status, **columns):
        columns = {"status": status, "kind": "render", "created_at": -3600, "run_at": -3600, **columns}
        literals = [self._literal(name, value) for name, value in columns.items()]
        self.database.run(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join(literals)})")
        return str(self.database.run("SELECT max(id) FROM jobs")[0][0])

    def change(self, id, **columns):
        changes = ", ".join(f"{name} = {self._literal(name, value)}" for name, value in columns.items())
        self.database.run(f"UPDATE jobs SET {changes} WHERE id = {id}")

    def _literal(self, name, value):
        if value is None:
            return "NULL"
        if name in COLUMNS:
            return SHIFTS[self.name].format(value)
        return "'" + str(value).replace("'", "''").replace("\\", "\\\\" if self.name == "mysql" else "\\") + "'"


@pytest.fixture
def jobs(database, open_source):
    return Jobs(database, open_source)


def ids(page_or_jobs):
    return [job.id for job in getattr(page_or_jobs, "jobs", page_or_jobs)]


def test_live_jobs_are_counted_by_queue_and_state(jobs):
    jobs.add("queued", queue="high", run_at=-60)
    jobs.add("queued", queue="high", run_at=-600)
    jobs.add("queued", queue="high", run_at=+600)
    jobs.add("processing", queue="high", started_at=-5, worker="w1", lease_until=+30)
    jobs.add("queued", queue="low", run_at=None, created_at=-90)
    jobs.add("succeeded", queue="low", finished_at=-5)
    jobs.add("retrying", queue="low", run_at=+60)

    sample = jobs.source.sample()

    high, low = sample.queues
    assert (high.name, low.name) == ("high", "low")
    counts = {state.value: count for state, count in high.counts.items() if count}
    assert counts == {"queued": 2, "scheduled": 1, "running": 1}
    assert {state.value: count for state, count in low.counts.items() if count} == {"queued": 1, "retrying": 1}
    assert sample.at_ms - high.oldest_ready_ms == pytest.approx(600_000, abs=60_000)
    assert sample.at_ms - low.oldest_ready_ms == pytest.approx(90_000, abs=30_000)


def test_an_empty_table_has_no_queues_and_one_that_has_become_empty_stays(jobs):
    assert jobs.source.sample().queues == ()
    id = jobs.add("queued", queue="high")
    jobs.source.sample()
    jobs.change(id, status="succeeded", finished_at=0)

    (queue,) = jobs.source.sample().queues

    assert (queue.name, queue.counts[JobState.QUEUED], queue.oldest_ready_ms) == ("high", 0, None)


def test_running_jobs_have_worker_and_lease_and_workers_follow_from_them(jobs):
    late = jobs.add("processing", started_at=-600, worker="w1", lease_until=-60, attempts=2)
    jobs.add("processing", started_at=-5, worker="w2", lease_until=+30)

    sample = jobs.source.sample()

    first, second = sample.running
    assert (first.id, first.worker, first.attempt, first.max_attempts) == (late, "w1", 2, 5)
    assert first.lease_until_ms < sample.at_ms < second.lease_until_ms
    assert [(worker.id, worker.jobs, worker.is_inferred) for worker in sample.workers] == [
        ("w1", (late,), True),
        ("w2", (second.id,), True),
    ]
    assert "no table of workers" in " ".join(sample.notes)


def test_each_end_is_reported_once_with_its_times(jobs):
    jobs.add("succeeded", started_at=-20, finished_at=-10)
    cursor = json.loads(json.dumps(jobs.source.sample().cursor))
    running = jobs.add("processing", started_at=-3)
    error = "Traceback (most recent call last):\n...\nValueError: no"
    # In one statement, for which there is one moment.
    jobs.change(running, status="failed", started_at=-3, finished_at=-1, error=error)

    sample = jobs.source.sample(cursor)
    (job,) = sample.finished
    again = jobs.source.sample(json.loads(json.dumps(sample.cursor)))

    assert (job.id, job.state, job.error) == (running, JobState.FAILED, "ValueError: no")
    assert job.run_s == pytest.approx(2, abs=0.01)
    assert job.wait_s == pytest.approx(3_597, abs=60)
    assert again.finished == ()


def test_another_process_goes_on_from_the_cursor(jobs, open_source):
    cursor = jobs.source.sample().cursor
    first = jobs.add("succeeded", finished_at=-1)

    other = open_source(jobs.database.url, plain())
    sample = other.sample(cursor)
    second = jobs.add("succeeded", finished_at=0)

    assert ids(sample.finished) == [first]
    assert ids(jobs.source.sample(sample.cursor).finished) == [second]


@pytest.mark.parametrize(
    "cursor", [17, "x", {}, {"place": 1}, {"place": [], "id": 1, "top_ms": 1, "floor": 1, "seen": ""}]
)
def test_a_cursor_of_something_else_begins_anew(jobs, cursor):
    jobs.add("succeeded", finished_at=-1)
    assert jobs.source.sample(cursor).finished == ()


def test_ends_in_the_same_moment_and_written_late_are_not_lost(jobs):
    jobs.add("succeeded", finished_at=-5)
    cursor = jobs.source.sample().cursor
    late = jobs.add("succeeded", finished_at=-8)
    same = [jobs.add("succeeded", finished_at=None) for _ in range(3)]
    newest = "SELECT f FROM (SELECT max(finished_at) AS f FROM jobs) m"
    jobs.database.run(f"UPDATE jobs SET finished_at = ({newest}) WHERE id IN ({', '.join(same)})")

    sample = jobs.source.sample(cursor)

    assert sorted(ids(sample.finished)) == sorted([late, *same])
    assert jobs.source.sample(sample.cursor).finished == ()


def test_a_clock_that_is_ahead_hides_nobody_elses_ends(jobs):
    jobs.add("succeeded", finished_at=-30)
    cursor = jobs.source.sample().cursor
    ahead = jobs.add("succeeded", finished_at=+600)
    sample = jobs.source.sample(cursor)
    behind = jobs.add("succeeded", finished_at=-1)
    after = jobs.source.sample(sample.cursor)

    assert (ids(sample.finished), ids(after.finished)) == ([ahead], [behind])
    assert "clock is ahead" in " ".join(sample.notes)
    assert jobs.source.sample(after.cursor).finished == ()


def test_pages_go_from_the_newest_to_the_oldest(jobs):
    expected = [jobs.add("queued") for _ in range(7)][::-1]

    found, after = [], ""
    while True:
        page = jobs.source.find(JobQuery(), after, limit=3)
        found += ids(page)
        after = page.next
        if not after:
            break

    assert found == expected
    assert not page.is_cut
    assert ids(jobs.source.find(JobQuery(), "no page's", limit=1)) == expected[:1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(JobQuery(states=frozenset({JobState.QUEUED})), ["due"], id="due"),
        pytest.param(JobQuery(states=frozenset({JobState.SCHEDULED})), ["later"], id="not due"),
        pytest.param(JobQuery(states=frozenset({JobState.SCHEDULED, JobState.QUEUED})), ["later", "due"], id="both"),
        pytest.param(
            JobQuery(states=frozenset({JobState.FAILED, JobState.QUEUED})), ["failed", "due"], id="two states"
        ),
        pytest.param(JobQuery(states=frozenset({JobState.BLOCKED})), [], id="none has this state"),
        pytest.param(JobQuery(queue="high"), ["later"], id="queue"),
        pytest.param(JobQuery(kind="mail"), ["failed"], id="kind"),
        pytest.param(JobQuery(worker="w'1"), ["failed"], id="worker, with a quotation mark"),
        pytest.param(JobQuery(text="RENÉ 100%"), ["due"], id="text in the arguments"),
        pytest.param(JobQuery(text="no_thing"), [], id="an underscore is no wildcard"),
        pytest.param(JobQuery(text="nothing"), ["failed"], id="text in the error"),
        pytest.param(JobQuery(text="'; DROP TABLE jobs; --"), [], id="an injection"),
        pytest.param(JobQuery(text="\0"), [], id="no text of a database"),
        pytest.param(JobQuery(kind="\ud800"), [], id="half a character"),
    ],
)
def test_a_search_finds(jobs, query, expected):
    text = "ren\u00e9 100%" if jobs.name == "mysql" else "RENÉ 100%"
    names = {
        jobs.add("queued", payload=json.dumps({"who": text}, ensure_ascii=False)): "due",
        jobs.add("queued", run_at=+600, queue="high"): "later",
        jobs.add("failed", kind="mail", worker="w'1", error="nothing", finished_at=-1): "failed",
    }
    assert [names[id] for id in ids(jobs.source.find(query))] == expected


def test_a_job_with_all_there_is_about_it(jobs):
    payload = {"user": 42, "api_key": "s3cret", "inner": [{"Password": "s3cret"}], "text": "é"}
    id = jobs.add(
        "failed",
        payload=json.dumps(payload, ensure_ascii=False),
        attempts=3,
        started_at=-9,
        finished_at=-4,
        error="Traceback (most recent call last):\n  File\nKeyError: 'a'",
    )

    detail = jobs.source.get(id)

    assert detail.kwargs == {"user": 42, "api_key": "[redacted]", "inner": [{"Password": "[redacted]"}], "text": "é"}
    assert detail.job.error == "KeyError: 'a'"
    (attempt,) = detail.attempts
    assert (attempt.number, attempt.outcome, attempt.error) == (3, "failed", "KeyError: 'a'")
    assert attempt.traceback.startswith("Traceback")
    assert [jobs.source.get(other) for other in ("999999", "no number", "", "\0", "9" * 40)] == [None] * 5


def test_a_huge_payload_is_cut_and_its_secrets_still_hidden(jobs):
    id = jobs.add("queued", payload=json.dumps({"a_token": "s3cret", "text": "x" * 200_000}))
    (text,) = jobs.source.get(id).args
    assert len(text) < 66_000 and "s3cret" not in text and text.endswith("…")


def test_looking_changes_nothing_and_needs_only_select(jobs, open_source):
    for status in ("queued", "processing", "succeeded", "failed"):
        id = jobs.add(status, finished_at=-5 if status in ("succeeded", "failed") else None, worker="w")
    jobs.source.sample()
    reader = open_source(jobs.database.reader_url(jobs.source.table), plain())
    before = jobs.database.digest()

    cursor = None
    for _ in range(100):
        cursor = reader.sample(cursor).cursor
    reader.find(JobQuery(text="x", states=frozenset({JobState.QUEUED})))
    reader.get(id)

    assert jobs.database.digest() == before


def test_a_missing_column_is_named_with_those_there_are(jobs, open_source):
    source = open_source(jobs.database.url, TableMap(table="jobs", states={"queued": JobState.QUEUED}, due="due_at"))
    with pytest.raises(SourceError, match=r"jobs has no column 'due_at' \(for 'due'\); there are: id, queue,"):
        source.sample()


def test_a_missing_column_in_an_expression_is_named_with_those_there_are(jobs, open_source):
    table = TableMap(table="jobs", states={"queued": JobState.QUEUED}, kind="lower(j.sort)")
    source = open_source(jobs.database.url, table)
    with pytest.raises(SourceError, match=r"sort.*there are: id, queue, kind"):
        source.find(JobQuery())


def test_a_missing_table_is_named(jobs, open_source):
    source = open_source(jobs.database.url, plain("tasks"))
    with pytest.raises(SourceError, match="there is no table tasks"):
        source.sample()


def test_a_table_that_is_made_anew_is_looked_at_anew(jobs, open_source):
    jobs.source.sample()
    jobs.database.run("DROP TABLE jobs")
    with pytest.raises(SourceError):
        jobs.source.sample()
    Jobs(jobs.database, open_source).add("queued")
    assert len(jobs.source.sample().queues) == 1


def test_a_table_without_an_end_says_what_it_cannot_know(database, open_source):
    database.run("CREATE TABLE jobs (id int PRIMARY KEY, status varchar(10))")
    database.run("INSERT INTO jobs VALUES (1, 'queued'), (2, 'running'), (3, 'strange')")
    source = open_source(database.url, plain())

    sample = source.sample()

    assert sample.queues[0].counts[JobState.QUEUED] == 1
    assert sample.cursor is None and sample.finished == ()
    assert len(sample.notes) == 3
    assert source.fidelity[Measure.THROUGHPUT] is Fidelity.NEEDS_HOOK
    assert source.get("3").job.state is JobState.BLOCKED


def test_a_table_of_workers(database, open_source):
    moment = MOMENTS[database.dialect.name]
    database.run("CREATE TABLE jobs (id int PRIMARY KEY, status varchar(10), worker varchar(10))")
    database.run(f"CREATE TABLE crew (name varchar(10), seen {moment}, works_on varchar(10), pid int)")
    shift = SHIFTS[database.dialect.name].format
    for name, seconds in (("busy", -5), ("late", -300), ("gone", -200_000)):
        database.run(f"INSERT INTO crew VALUES ('{name}', {shift(seconds)}, 'high', 17)")
    database.run("INSERT INTO jobs VALUES (1, 'running', 'busy')")
    workers = WorkersTable(table="crew", id="name", beat="seen", late_s=60, queue="works_on", process="pid")
    table = TableMap(table="jobs", states={"running": JobState.RUNNING}, worker="worker", workers=workers)
    source = open_source(database.url, table)

    sample = source.sample()

    busy, late = sample.workers
    assert (busy.id, busy.state, busy.jobs, busy.queues, busy.process) == ("busy", "busy", ("1",), ("high",), 17)
    assert (late.id, late.state) == ("late", "idle")
    assert late.expected_ms < sample.at_ms < busy.expected_ms
