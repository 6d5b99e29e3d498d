import threading
from contextlib import closing

import pytest

from trackside import Monitor
from trackside.exceptions import UnhealthyError
from trackside.outbox.poller import Poller, Rows
from trackside.outbox.table_figures import TableFigures
from trackside.outbox.work_queue import Push, WorkQueue

ROWS = Rows("sessions", "inbox = 'active'", "inbox = 'pending'", ("title",), since="created_ms", batch=10)


@pytest.fixture
def queue(connect, connection):
    queue = WorkQueue(connect)
    queue.create()
    connection.execute("create table sessions (id integer primary key, title text, inbox text, created_ms bigint)")
    connection.commit()
    return queue


def add(connection, *titles, created_ms=1_000):
    for title in titles:
        connection.execute(
            "insert into sessions (id, title, inbox, created_ms) "
            f"select coalesce(max(id), 0) + 1, '{title}', 'active', {created_ms} from sessions"
        )
    connection.commit()


def inboxes(connection):
    found = [row[0] for row in connection.execute("select inbox from sessions order by id").fetchall()]
    connection.rollback()
    return found


def push_of(row):
    id, title = row
    return Push("publish", {"session": id, "title": title}, f"session-{id}")


def test_each_row_is_queued_and_marked(queue, connection):
    add(connection, "a", "b")
    poller = Poller("sessions", queue, ROWS, push_of)

    assert poller.poll() == 2
    assert poller.poll() == 0
    assert inboxes(connection) == ["pending", "pending"]
    payloads = [work.payload for work in queue.claim(connection, "w", limit=9)]
    assert payloads == [{"session": 1, "title": "a"}, {"session": 2, "title": "b"}]


def test_a_round_that_fails_leaves_everything_as_it_was(queue, connection):
    add(connection, "a", "b")

    def half(row):
        if row[0] == 2:
            raise ValueError("no")
        return push_of(row)

    with pytest.raises(ValueError, match="no"):
        Poller("sessions", queue, ROWS, half).poll()

    assert inboxes(connection) == ["active", "active"]
    assert queue.claim(connection, "w") == []


def test_a_row_that_becomes_active_again_is_queued_under_another_key_only(queue, connection):
    add(connection, "a")
    poller = Poller("sessions", queue, ROWS, push_of)
    poller.poll()
    connection.execute("update sessions set inbox = 'active'")
    connection.commit()

    assert poller.poll() == 1
    assert len(queue.claim(connection, "w", limit=9)) == 1


def test_several_pollers_queue_each_row_once(queue, connection):
    add(connection, *map(str, range(120)))

    def poll():
        poller = Poller("sessions", queue, ROWS, push_of)
        while poller.poll():
            pass

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert set(inboxes(connection)) == {"pending"}
    sessions = [work.payload["session"] for work in queue.claim(connection, "w", limit=500)]
    assert sorted(sessions) == list(range(1, 121))


def test_the_lag_is_known_while_nobody_polls(queue, connect, connection):
    monitor = Monitor("t", shared=False, environ={})
    add(connection, "a", created_ms=1_000)
    poller = Poller("sessions", queue, ROWS, push_of, monitor=monitor)
    monitor.watch(poller)
    monitor.watch(queue)
    figures = TableFigures.of(monitor.context)
    with closing(connect()) as own:
        figures._ask_poller(poller, own)

    page = monitor.exposition().decode()
    lag_s = float(page.split('poller_lag_seconds{poller="sessions"} ')[1].split("\n")[0])
    assert lag_s > 1_700_000_000
    assert 'poller_waiting{poller="sessions"} 1' in page
    assert poller.lag_s(connection) is not None


def test_a_poller_that_was_never_started_makes_the_application_not_ready(queue):
    monitor = Monitor("t", shared=False, environ={})
    Poller("session-poller", queue, ROWS, push_of, monitor=monitor)

    report = monitor.beat("session-poller", every=1)
    with pytest.raises(UnhealthyError, match="session-poller has never run"):
        report.probe()


def test_rounds_are_counted_by_what_they_found(queue, connection):
    monitor = Monitor("t", shared=False, environ={})
    add(connection, *"abc")
    poller = Poller("sessions", queue, ROWS, push_of, monitor=monitor)
    poller.poll()
    poller.poll()

    page = monitor.exposition().decode()
    assert 'poller_polls_total{poller="sessions",result="work"} 1' in page
    assert 'poller_polls_total{poller="sessions",result="empty"} 1' in page
    assert 'poller_claimed_total{poller="sessions"} 3' in page


def test_what_the_table_says_of_a_queue(queue, connect, connection):
    monitor = Monitor("t", shared=False, environ={})
    add(connection, *"abcd")
    Poller("sessions", queue, ROWS, push_of).poll()
    with connection:
        pass
    with closing(connect()) as own:
        work, failing, dying = queue.claim(own, "w", limit=3)
        queue.fail(own, failing, "no")
        own.execute(f"update trackside_work set max_attempts = 1 where id = {dying.id}")
        own.commit()
        queue.fail(own, dying, "no")
        queue.finish(own, work)
    with closing(connect()) as own:
        TableFigures.of(monitor.context)._ask(queue, own)

    page = monitor.exposition().decode()
    found = {
        line.split('state="')[1].split('"')[0]: float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("queue_jobs{")
    }
    assert found["queued"] == 1
    assert found["retrying"] + found["dead"] == 2
    assert 'queue_workers{queue="default"} 0' in page


def test_the_age_of_an_outbox_counts_all_attempts_and_no_planned_delay(queue, connect, connection):
    monitor = Monitor("t", shared=False, environ={})
    with closing(connect()) as own:
        queue.push(own, Push("tried"))
        queue.push(own, Push("planned", delay_s=1_000))
        own.execute("update trackside_work set created_ms = created_ms - 500000")
        own.commit()
        (tried,) = queue.claim(own, "w")
        queue.fail(own, tried, "no")
        TableFigures.of(monitor.context)._ask(queue, own)

    page = monitor.exposition().decode()
    age_s = float(page.split('outbox_oldest_seconds{queue="default"} ')[1].split("\n")[0])
    assert age_s == pytest.approx(500, abs=60)
