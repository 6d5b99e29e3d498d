"""Rows of a table go into one statement, and mean what they mean one by one."""

import json
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.server.alerting.rows import Row, Table, all_of, json_text

ONE = Table("INSERT OR REPLACE INTO one", 2)
OTHER = Table("INSERT INTO other", 2, "ON CONFLICT (name) DO UPDATE SET value = other.value || excluded.value")


@pytest.fixture
def connection():
    found = sqlite3.connect(":memory:", isolation_level=None)
    found.executescript(
        "CREATE TABLE one (name TEXT PRIMARY KEY, value); CREATE TABLE other (name TEXT PRIMARY KEY, value);"
    )
    yield found
    found.close()


def content(connection):
    return {
        table: dict(connection.execute(f"SELECT name, value FROM {table} ORDER BY name")) for table in ("one", "other")
    }


def forget(name):
    return lambda connection: connection.execute("DELETE FROM one WHERE name = ?", (name,))


WORKS = st.lists(
    st.one_of(
        st.builds(Row, st.just(ONE), st.tuples(st.sampled_from("abc"), st.integers(0, 9))),
        st.builds(Row, st.just(OTHER), st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))),
        st.builds(forget, st.sampled_from("abc")),
    ),
    max_size=120,
)


@settings(deadline=None)
@given(WORKS)
def test_what_is_written_together_is_what_is_written_one_by_one(works):
    together, alone = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    for connection in (together, alone):
        for table in ("one", "other"):
            connection.execute(f"CREATE TABLE {table} (name TEXT PRIMARY KEY, value)")
    all_of(works)(together)
    for work in works:
        work(alone)
    assert content(together) == content(alone)
    together.close()
    alone.close()


@pytest.mark.parametrize(
    ("rows", "statements"),
    [
        pytest.param(0, 0, id="none"),
        pytest.param(1, 1, id="one"),
        pytest.param(32, 1, id="as many as go into one"),
        pytest.param(500, 15 + 2 + 4, id="hundreds"),
    ],
)
def test_hundreds_of_rows_are_a_few_statements(connection, rows, statements):
    seen = []
    connection.set_trace_callback(seen.append)
    all_of(Row(ONE, (str(number), number)) for number in range(rows))(connection)
    assert len(seen) == statements
    connection.set_trace_callback(None)
    assert content(connection)["one"] == {str(number): number for number in range(rows)}


def test_rows_of_two_tables_that_come_in_turn_are_written_table_by_table(connection):
    seen = []
    connection.set_trace_callback(seen.append)
    all_of(Row(table, (str(number), "x")) for number in range(8) for table in (ONE, OTHER))(connection)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": ["x", 1, None, True, 2.5]}, id="plain"),
        pytest.param({"a": "\u00e9\u2028\x00\x7f\U0001f600"}, id="any text"),
        pytest.param({"a": "half of a pair: \ud800"}, id="half of a surrogate pair"),
        pytest.param([], id="nothing"),
    ],
)
def test_a_value_is_read_as_it_was_written(value):
    assert json.loads(json_text(value)) == value
