"""A map of columns is checked when it is made."""

import pytest

from trackside.exceptions import ConfigError
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE
from trackside.jobs.sql.table_map import TableMap, WorkersTable
from trackside.model.jobs import JobState

STATES = {"queued": JobState.QUEUED}


@pytest.mark.parametrize(
    "expression",
    [
        "run_at",
        '"run at"',
        "coalesce(j.run_at, j.created_at)",
        "j.payload ->> 'a;b--c'",
        "CASE WHEN j.a LIKE '50%' THEN 'it''s' END",
        "j.last_result ->> 'Err'",
    ],
)
def test_columns_and_expressions_are_taken(expression):
    assert TableMap(table="jobs", states=STATES, due=expression).due == expression


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        pytest.param("run_at; DROP TABLE jobs", "';'", id="a second statement"),
        pytest.param("run_at -- x", "'--'", id="a comment"),
        pytest.param("run_at /* x", "'/*'", id="another comment"),
        pytest.param("(run_at", "parentheses", id="open"),
        pytest.param("run_at) OR (1=1", "parentheses", id="closed too early"),
        pytest.param("j.a ->> 'x", '"\'"', id="an open literal"),
        pytest.param("j.a\0", "x00", id="no character"),
        pytest.param("j.a = E'\\\\' ", "neither", id="a backslash"),
    ],
)
def test_anything_else_is_refused_with_its_place(expression, why):
    with pytest.raises(ConfigError, match="jobs: due") as caught:
        TableMap(table="jobs", states=STATES, due=expression)
    assert why in str(caught.value)


@pytest.mark.parametrize("table", ["", "a b", "jobs; x", "a.b.c", "jobs j", "1jobs", 'x"y'])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(ConfigError, match="not the name of a table"):
        TableMap(table=table, states=STATES)


@pytest.mark.parametrize("word", ["", "it's", "a\\", "100%", "\0"])
def test_a_state_with_a_dangerous_character_is_refused(word):
    with pytest.raises(ConfigError, match="state"):
        TableMap(table="jobs", states={word: JobState.QUEUED})


def test_a_map_without_states_is_refused():
    with pytest.raises(ConfigError, match="`states` is empty"):
        TableMap(table="jobs", states={})


def test_other_tables_are_checked_too():
    with pytest.raises(ConfigError, match="crew: id"):
        WorkersTable(table="crew", id="a;b", beat="seen", late_s=1)
    with pytest.raises(ConfigError, match=r"extra\.lock"):
        TableMap(table="jobs", states=STATES, extra={"lock": "x;"})
    with pytest.raises(ConfigError, match="not the name of a table"):
        TableMap(table="jobs", states=STATES, also_reads=("a b",))


@pytest.mark.parametrize(
    ("text", "postgres", "sqlite", "mysql"),
    [
        pytest.param("", "NULL", "NULL", "NULL", id="nothing"),
        pytest.param("run_at", 'j."run_at"', 'j."run_at"', "j.`run_at`", id="column"),
        pytest.param('"run `at"', 'j."run `at"', 'j."run `at"', "j.`run ``at`", id="odd column"),
        pytest.param("j.a % 2", "(j.a %% 2)", "(j.a % 2)", "(j.a %% 2)", id="expression"),
    ],
)
def test_a_part_in_each_dialect(text, postgres, sqlite, mysql):
    assert (POSTGRES.sql(text), SQLITE.sql(text), MYSQL.sql(text)) == (postgres, sqlite, mysql)


def test_tables_are_quoted_part_by_part():
    assert POSTGRES.table("apalis.jobs") == '"apalis"."jobs"'
    assert MYSQL.table('"my jobs"') == "`my jobs`"
