import threading
from contextlib import closing

import pytest

from trackside.outbox.backoff import Backoff
from trackside.outbox.dialects import dialect_of, transaction
from trackside.outbox.work_queue import MAX_PAYLOAD_CHARS, Push, WorkQueue


@pytest.fixture
def queue(connect):
    queue = WorkQueue(connect, "outbox", backoff=Backoff(first_s=0, jitter=0))
    queue.create()
    return queue


def push(queue, connection, *works):
    with transaction(connection):
        return [queue.push(connection, work) for work in works]


def column(connection, name, table="trackside_work"):
    found = [row[0] for row in connection.execute(f"select {name} from {table} order by id").fetchall()]
    connection.rollback()
    return found


def age(connection, seconds):
    """As if so much time had passed."""
    connection.execute(
        f"update trackside_work set due_ms = due_ms - {seconds * 1000}, lease_until_ms = lease_until_ms - "
        f"{seconds * 1000}, finished_ms = finished_ms - {seconds * 1000}"
    )
    connection.commit()


def test_what_is_pushed_is_claimed_with_all_that_was_said(queue, connection):
    (id,) = push(queue, connection, Push("mail", {"to": ["ä", None, 1.5]}, max_attempts=3))

    (work,) = queue.claim(connection, "w1")

    assert (work.id, work.queue, work.kind, work.payload) == (id, "outbox", "mail", {"to": ["ä", None, 1.5]})
    assert (work.attempt, work.max_attempts, work.was_abandoned) == (1, 3, False)
    assert work.key == f"outbox-{id}"
    assert 0 <= work.waited_s < 60
    assert work.lease_until_ms - work.started_ms == pytest.approx(60_000, abs=1_000)


def test_a_push_is_part_of_the_transaction_of_its_caller(queue, connection):
    with pytest.raises(RuntimeError), transaction(connection):
        queue.push(connection, Push("mail"))
        raise RuntimeError("the business changed its mind")

    assert queue.claim(connection, "w1") == []


def test_nobody_else_gets_what_is_claimed(queue, connection):
    push(queue, connection, *(Push("mail", n) for n in range(5)))

    first = queue.claim(connection, "w1", limit=3)
    second = queue.claim(connection, "w2", limit=3)

    assert [work.payload for work in first] == [0, 1, 2]
    assert [work.payload for work in second] == [3, 4]
    assert queue.claim(connection, "w3") == []


def test_queues_of_one_table_keep_apart(queue, connect, connection):
    other = WorkQueue(connect, "other")
    push(queue, connection, Push("mail"))

    assert other.claim(connection, "w") == []
    assert len(queue.claim(connection, "w")) == 1


def test_the_more_urgent_comes_first_then_the_older(queue, connection):
    push(queue, connection, Push("a"), Push("b", priority=5), Push("c", priority=5), Push("d", priority=-1))

    assert [work.kind for work in queue.claim(connection, "w", limit=9)] == ["b", "c", "a", "d"]


def test_delayed_work_is_not_due(queue, connection):
    push(queue, connection, Push("later", delay_s=60))
    assert queue.claim(connection, "w") == []

    age(connection, 61)
    assert [work.kind for work in queue.claim(connection, "w")] == ["later"]


def test_a_key_is_taken_once_however_often_it_is_pushed(queue, connection):
    first, second, other = push(queue, connection, *(Push("mail", None, key) for key in ("k", "k", "l")))

    assert (first is not None, second, other is not None) == (True, None, True)
    assert len(queue.claim(connection, "w", limit=9)) == 2


def test_queues_of_one_table_have_keys_of_their_own(queue, connect, connection):
    other = WorkQueue(connect, "other")
    push(queue, connection, Push("mail", None, "k"))
    push(other, connection, Push("mail", None, "k"))

    assert len(queue.claim(connection, "w")) == len(other.claim(connection, "w")) == 1


def test_finished_work_is_over(queue, connection):
    push(queue, connection, Push("mail"))
    (work,) = queue.claim(connection, "w")

    assert queue.finish(connection, work)
    assert column(connection, "status") == ["succeeded"]
    assert queue.claim(connection, "w") == []
    assert not queue.finish(connection, work)


def test_failed_work_comes_again_until_it_is_dead(queue, connection):
    push(queue, connection, Push("mail", max_attempts=3))

    outcomes = []
    for _ in range(3):
        (work,) = queue.claim(connection, "w")
        outcomes.append((work.attempt, queue.fail(connection, work, f"no {work.attempt}\0")))

    assert outcomes == [(1, "retried"), (2, "retried"), (3, "dead")]
    assert column(connection, "status") == ["dead"]
    assert column(connection, "error") == ["no 3"]
    assert queue.claim(connection, "w") == []


def test_a_retry_waits(connect, connection):
    queue = WorkQueue(connect, backoff=Backoff(first_s=30, jitter=0))
    queue.create()
    push(queue, connection, Push("mail"))
    (work,) = queue.claim(connection, "w")
    queue.fail(connection, work, "no")

    assert queue.claim(connection, "w") == []
    age(connection, 31)
    assert len(queue.claim(connection, "w")) == 1


def test_abandoned_work_is_taken_up_and_the_late_result_refused(queue, connection):
    push(queue, connection, Push("mail"))
    (slow,) = queue.claim(connection, "slow", lease_s=60)
    age(connection, 61)

    (again,) = queue.claim(connection, "other")

    assert (again.id, again.attempt, again.was_abandoned) == (slow.id, 2, True)
    assert not queue.renew(connection, slow, 60)
    assert not queue.finish(connection, slow)
    assert queue.fail(connection, slow, "too late") == "stale"
    assert not queue.give_back(connection, slow)
    assert queue.finish(connection, again)


def test_a_renewed_lease_keeps_others_away(queue, connection):
    push(queue, connection, Push("mail"))
    (work,) = queue.claim(connection, "w", lease_s=600)
    age(connection, 500)
    assert queue.renew(connection, work, 600)
    age(connection, 500)

    assert queue.claim(connection, "other") == []
    assert queue.finish(connection, work)


def test_work_that_kills_its_workers_ends(queue, connection):
    push(queue, connection, Push("poison", max_attempts=2))
    for _ in range(2):
        assert len(queue.claim(connection, "victim")) == 1
        age(connection, 61)

    assert queue.claim(connection, "victim") == []
    assert column(connection, "status") == ["dead"]
    assert column(connection, "error") == ["its worker disappeared"]


def test_work_given_back_was_no_attempt(queue, connection):
    push(queue, connection, Push("mail"))
    (work,) = queue.claim(connection, "w")
    assert queue.give_back(connection, work)

    (again,) = queue.claim(connection, "w")
    assert (again.attempt, again.was_abandoned) == (1, False)


def test_dead_work_can_be_revived(queue, connection):
    push(queue, connection, Push("mail", max_attempts=1), Push("mail"))
    dead, alive = queue.claim(connection, "w", limit=2)
    queue.fail(connection, dead, "no")

    assert queue.revive(connection, dead.id, alive.id, 999) == 1
    (again,) = queue.claim(connection, "w")
    assert (again.id, again.attempt) == (dead.id, 1)


def test_only_what_succeeded_long_ago_is_forgotten(queue, connection):
    push(queue, connection, *(Push("mail", n, max_attempts=1) for n in range(4)))
    old, dead = queue.claim(connection, "w", limit=2)
    queue.finish(connection, old)
    queue.fail(connection, dead, "no")
    age(connection, 100)
    (new,) = queue.claim(connection, "w")
    queue.finish(connection, new)

    assert queue.forget(connection, older_s=50) == 1
    assert column(connection, "payload") == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [({1, 2}, "no JSON value"), ("x" * MAX_PAYLOAD_CHARS, "store it elsewhere")],
    ids=["a set", "a megabyte"],
)
def test_a_payload_that_cannot_be_kept_is_refused(queue, connection, payload, reason):
    with pytest.raises(ValueError, match=reason):
        queue.push(connection, Push("mail", payload))


def test_a_payload_that_somebody_else_wrote_is_handed_on_as_it_is(queue, connection):
    push(queue, connection, Push("mail"))
    connection.execute("update trackside_work set payload = '{broken'")
    connection.commit()

    assert queue.claim(connection, "w")[0].payload == "{broken"


@pytest.mark.parametrize("table", ["", "a b", "x;drop table y", "a.b.c", 'a"'])
def test_a_table_that_is_none_is_refused(table):
    with pytest.raises(ValueError, match="no name of a table"):
        WorkQueue(None, table=table)


def test_another_driver_is_told_what_is_needed():
    with pytest.raises(TypeError, match="driver_connection"):
        dialect_of(object())


def test_creating_twice_keeps_what_is_there(queue, connection):
    push(queue, connection, Push("mail"))
    queue.create()
    assert len(queue.claim(connection, "w")) == 1


def test_many_workers_do_everything_once(queue, connect, connection):
    push(queue, connection, *(Push("mail", n) for n in range(200)))
    done = []

    def work(name):
        with closing(connect()) as own:
            while claimed := queue.claim(own, name, limit=5):
                done.extend(work.payload for work in claimed if queue.finish(own, work))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    # A worker may find nothing while others have the rest in hands; what it left is done by them.
    assert sorted(done) == list(range(200))
    assert set(column(connection, "status")) == {"succeeded"}


def test_many_processes_may_create_at_once(connect):
    failures = []

    def create():
        try:
            WorkQueue(connect, table="together").create()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
