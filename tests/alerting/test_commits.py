"""Small changes that wait for the disk together."""

import asyncio
import threading

import pytest

from trackside.instruments.registry import Registry
from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.commits import Commits
from trackside.server.db.database import Database


@pytest.fixture
def db(tmp_path):
    database = Database(tmp_path / "trackside.db")
    database.create("CREATE TABLE seen (number INTEGER);")
    yield database
    database.close()


def insert(number: int):
    return lambda connection: connection.execute("INSERT INTO seen VALUES (?)", (number,))


def seen(db) -> list[int]:
    return [row["number"] for row in db.read(lambda connection: connection.execute("SELECT * FROM seen").fetchall())]


def test_what_comes_while_the_disk_is_busy_is_written_at_once(db):
    async def story():
        commits = Commits(db, AlertingMetrics(Registry()))
        transactions = []
        db.write(lambda connection: connection.set_trace_callback(transactions.append)).result()
        gate = threading.Event()
        blocked = db.write(lambda _: gate.wait(60))
        waiting = [asyncio.create_task(commits.durably([insert(number)])) for number in range(50)]
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*waiting)
        blocked.result()
        assert seen(db) == list(range(50))
        # Those that came first, and all the others.
        assert len([one for one in transactions if one == "COMMIT"]) <= 3

    asyncio.run(story())


def test_whoever_gives_up_waiting_takes_nobody_along(db):
    async def story():
        commits = Commits(db, AlertingMetrics(Registry()))
        first = asyncio.create_task(commits.durably([insert(1)]))
        second = asyncio.create_task(commits.durably([insert(2)]))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert seen(db) == [1, 2]

    asyncio.run(story())


@pytest.mark.parametrize("durable", [True, False])
def test_what_cannot_be_written_is_counted(db, durable):
    async def story():
        registry = Registry()
        commits = Commits(db, AlertingMetrics(registry))
        write = commits.durably if durable else commits.soon
        await write([lambda connection: connection.execute("INSERT INTO nothing VALUES (1)")])
        await write([insert(3)])
        assert seen(db) == [3]
        assert registry.counter("trackside_alerting_state_write_failures_total").labels().raw()[0] == 1

    asyncio.run(story())


def test_one_that_cannot_be_written_does_not_take_the_others_along(db):
    async def story():
        registry = Registry()
        commits = Commits(db, AlertingMetrics(registry))
        broken = [insert(0), lambda connection: connection.execute("INSERT INTO nothing VALUES (1)")]
        await asyncio.gather(commits.durably([insert(1)]), commits.durably(broken), commits.durably([insert(2)]))
        assert seen(db) == [1, 2]
        assert registry.counter("trackside_alerting_state_write_failures_total").labels().raw()[0] == 1

    asyncio.run(story())
