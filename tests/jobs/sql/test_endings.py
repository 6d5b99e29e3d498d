"""Ends are reported exactly once, whatever the order in which they become visible."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.jobs.sql.endings import (
    LOOK_BACK_MS,
    MAX_REMEMBERED,
    Cursor,
    Ending,
    advanced,
    begun,
    cursor_of,
    unseen,
)


class Table:
    """What the two queries of a look would find."""

    def __init__(self):
        self.rows = []

    def add(self, at_ms, id=None):
        self.rows.append(Ending(at_ms, len(self.rows) if id is None else id, at_ms))

    def latest(self, now_ms):
        past = [row for row in self.ordered() if row.at_ms <= now_ms]
        return past[::-1][: MAX_REMEMBERED + 1]

    def late(self, cursor):
        if cursor.place is None:
            return []
        return [
            row
            for row in self.ordered()
            if (row.place, row.id) <= (cursor.place, cursor.id) and (cursor.floor is None or row.place > cursor.floor)
        ][-MAX_REMEMBERED - 500 :]

    def after(self, cursor):
        if cursor.place is None:
            return self.ordered()
        return [row for row in self.ordered() if (row.place, row.id) > (cursor.place, cursor.id)]

    def ordered(self):
        return sorted(self.rows, key=lambda row: (row.place, row.id))


def look(table, cursor, now_ms):
    late, after = table.late(cursor), table.after(cursor)
    new = unseen(cursor, [*late, *after])
    return new, cursor_of(json.loads(json.dumps(advanced(cursor, late, after, now_ms).to_json())))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(-120, 30), st.integers(1, 30)), max_size=6), min_size=1, max_size=12))
def test_each_end_is_reported_once(looks):
    """`looks`: ends that become visible before each, in seconds from it: late ones, and from clocks that are ahead."""
    table, reported, now_ms = Table(), [], 10_000_000
    cursor = begun(table.latest(now_ms))
    for ends in looks:
        now_ms += 5_000
        for second, number in ends:
            for _ in range(number):
                table.add(now_ms + second * 1_000)
        new, cursor = look(table, cursor, now_ms)
        reported += [ending.id for ending in new]

    assert sorted(reported) == list(range(len(table.rows)))


def test_what_had_ended_before_we_began_is_not_reported_even_when_there_is_much_of_it():
    table = Table()
    for number in range(MAX_REMEMBERED * 2):
        table.add(1_000_000 + number // 7)
    new, _cursor = look(table, begun(table.latest(2_000_000)), 2_000_000)
    assert new == []


def test_many_ends_in_one_moment_are_reported_in_several_looks_without_loss():
    table, cursor, seen = Table(), Cursor(), []
    for _ in range(MAX_REMEMBERED * 3):
        table.add(5_000)
    for _ in range(8):
        late, after = table.late(cursor), table.after(cursor)[:1_000]
        seen += [ending.id for ending in unseen(cursor, [*late, *after])]
        cursor = advanced(cursor, late, after, 10_000)
    assert sorted(seen) == list(range(MAX_REMEMBERED * 3))


def test_memory_is_bounded_in_number_and_in_time():
    table, now_ms = Table(), 100_000_000
    for number in range(MAX_REMEMBERED * 3):
        table.add(now_ms - MAX_REMEMBERED * 3 + number)
    assert len(begun(table.latest(now_ms)).seen) == MAX_REMEMBERED
    table.add(now_ms + 2 * LOOK_BACK_MS)
    assert len(begun(table.latest(now_ms + 3 * LOOK_BACK_MS)).seen) == 1


def test_a_job_that_ends_twice_is_reported_twice():
    table = Table()
    table.add(1_000, id=7)
    cursor = begun(table.latest(2_000))
    table.add(3_000, id=7)
    new, cursor = look(table, cursor, 4_000)
    assert [ending.at_ms for ending in new] == [3_000]
    assert look(table, cursor, 5_000)[0] == []


def test_a_cursor_survives_json():
    cursor = Cursor("2026-01-01 00:00:00", 7, 5, None, frozenset({"0123456789", "abcdef0123"}))
    assert cursor_of(json.loads(json.dumps(cursor.to_json()))) == cursor
