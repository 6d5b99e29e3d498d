"""Silences on the disk: there before anybody is told so, and after a kill -9."""

import asyncio
import sqlite3

import pytest

from trackside.exceptions import StorageError
from trackside.model.labels import Labels
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.register import RETENTION_MS, Silences
from trackside.server.alerting.silences.silence import Refused, Silence, SilenceError, SilenceState
from trackside.server.db.database import Database

NOW = 1_000_000
NIGHTS = Recurrence.of([{"times": [{"start_time": "02:00", "end_time": "04:00"}], "location": "Europe/Berlin"}])
DRAFT = Silence(
    "",
    parse_matchers('a="b",c=~"x|y",d!="e",f!~"g"'),
    NOW,
    NOW + 60_000,
    "me",
    "why",
    annotations=Labels.of(ticket="T-1"),
)
E1 = Labels.of(a="b", c="x")


@pytest.fixture
def disk(tmp_path):
    opened = []

    def start() -> Silences:
        opened.append(Database(tmp_path / "trackside.db"))
        return Silences(opened[-1])

    yield start
    for db in opened:
        db.close()


def run(story):
    return asyncio.run(story)


def test_what_was_made_is_there_after_a_start(disk):
    silences = disk()
    made = run(silences.put(DRAFT, NOW))
    recurring = run(silences.put(Silence("", DRAFT.matchers, NOW, NOW + 9, "you", "", recurrence=NIGHTS), NOW))
    again = disk()
    assert again.get(made.silence_id) == made
    assert again.get(recurring.silence_id) == recurring
    assert again.silencing(E1, NOW) == (made.silence_id,)


def test_it_is_committed_before_the_answer_and_durably(disk, tmp_path):
    silences = disk()
    modes: list[int] = []
    silences._db.write(lambda connection: connection.set_trace_callback(None)).result()

    def spy(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: modes.append(1) if "synchronous = FULL" in sql else None)

    silences._db.write(spy).result()
    made = run(silences.put(DRAFT, NOW))
    with sqlite3.connect(tmp_path / "trackside.db") as other:
        assert other.execute("SELECT silence_id FROM silence").fetchall() == [(made.silence_id,)]
    assert modes == [1]


def test_what_cannot_be_stored_does_not_hold(disk):
    silences = disk()
    made = run(silences.put(DRAFT, NOW))
    silences._db.write(lambda connection: connection.execute("DROP TABLE silence")).result()
    with pytest.raises(StorageError, match="cannot be stored"):
        run(silences.put(DRAFT, NOW))
    with pytest.raises(StorageError):
        run(silences.expire(made.silence_id, NOW + 5))
    assert len(silences) == 1
    assert silences.silencing(E1, NOW + 6) == (made.silence_id,)


def test_expiring_ends_it_at_once_and_twice_is_no_mistake(disk):
    silences = disk()
    made = run(silences.put(DRAFT, NOW))
    run(silences.expire(made.silence_id, NOW + 5))
    run(silences.expire(made.silence_id, NOW + 9))
    again = disk().get(made.silence_id)
    assert again is not None and again.ends_ms == NOW + 5
    assert silences.silencing(E1, NOW + 5) == ()
    with pytest.raises(SilenceError) as caught:
        run(silences.expire("nobody", NOW))
    assert caught.value.refused is Refused.UNKNOWN


@pytest.mark.parametrize(
    ("labels", "silenced"),
    [
        ({"a": "b", "c": "x"}, True),
        ({"a": "b", "c": "xx"}, False),
        ({"a": "b", "c": "y", "d": "f"}, True),
        ({"a": "b", "c": "y", "d": "e"}, False),
        ({"a": "b", "c": "y", "f": "g"}, False),
        ({"c": "x"}, False),
    ],
)
def test_all_matchers_must_hold(disk, labels, silenced):
    silences = disk()
    run(silences.put(DRAFT, NOW))
    assert bool(silences.silencing(Labels.of(labels), NOW)) == silenced


def test_what_was_over_long_ago_is_forgotten(disk):
    silences = disk()
    old = run(silences.put(DRAFT, NOW))
    later = NOW + 60_000 + RETENTION_MS
    run(silences.forget_old(later))
    assert silences.get(old.silence_id) is not None
    run(silences.forget_old(later + 1))
    assert (len(silences), len(disk())) == (0, 0)


def test_they_are_counted_by_state(disk):
    silences = disk()
    run(silences.put(DRAFT, NOW))
    assert silences.count(NOW) == {SilenceState.PENDING: 0, SilenceState.ACTIVE: 1, SilenceState.EXPIRED: 0}


def test_two_changes_at_once_are_one_after_the_other(disk):
    silences = disk()

    async def story():
        made = await silences.put(DRAFT, NOW)
        other = Silence(made.silence_id, parse_matchers("a=z"), NOW, NOW + 50, "me", "")
        found = await asyncio.gather(silences.put(other, NOW + 1), silences.put(other, NOW + 1))
        # The second finds the silence ended, and makes one of its own.
        assert len({made.silence_id, *(one.silence_id for one in found)}) == 3
        assert silences.count(NOW + 2)[SilenceState.ACTIVE] == 2

    run(story())
