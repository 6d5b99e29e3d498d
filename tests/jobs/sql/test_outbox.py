"""A table that is no queue of a library: an outbox, whose poller is dead. Its lag follows from the table alone."""

import pytest

from trackside.jobs.sql.table_map import TableMap
from trackside.model.jobs import JobState

OUTBOX = TableMap(
    table="outbox",
    states={
        "pending": JobState.QUEUED,
        "again": JobState.RETRYING,
        "dead": JobState.FAILED,
        "sent": JobState.SUCCEEDED,
    },
    state="CASE WHEN j.published_at IS NOT NULL THEN 'sent' WHEN j.attempts >= 5 THEN 'dead'"
    " WHEN j.attempts > 0 THEN 'again' ELSE 'pending' END",
    live="j.published_at IS NULL AND j.attempts < 5",
    kind="topic",
    queue="'outbox'",
    enqueued="created_at",
    due="next_at",
    finished="published_at",
    attempt="attempts",
    error="error",
    payload="payload",
)


@pytest.fixture
def outbox(database, open_source):
    moment = "datetime(6)" if database.dialect.name == "mysql" else "timestamp"
    database.run(
        f"CREATE TABLE outbox (id int PRIMARY KEY, topic varchar(20), payload varchar(200), created_at {moment},"
        f" next_at {moment}, published_at {moment}, attempts int, error varchar(200))"
    )
    source = open_source(database.url, OUTBOX)
    yield source, database


def test_lag_and_backlog_while_the_poller_is_dead(outbox):
    source, database = outbox
    ago = {
        "postgres": "timezone('UTC', now()) - interval '{} s'",
        "mysql": "UTC_TIMESTAMP(6) - INTERVAL {} SECOND",
        "sqlite": "datetime('now', '-{} seconds')",
    }[database.dialect.name]
    for id, attempts, age_s in ((1, 0, 90), (2, 3, 240), (3, 5, 900), (4, 0, 5)):
        created = ago.format(age_s)
        database.run(f"INSERT INTO outbox VALUES ({id}, 'user', '{{}}', {created}, NULL, NULL, {attempts}, 'no')")

    first, second = source.sample(), source.sample()

    for sample in (first, second):
        (queue,) = sample.queues
        assert sample.at_ms - queue.oldest_ready_ms == pytest.approx(240_000, abs=60_000)
        assert {state.value: n for state, n in queue.counts.items() if n} == {"queued": 2, "retrying": 1}
        assert sample.workers == ()
    assert source.get("3").job.state is JobState.FAILED
