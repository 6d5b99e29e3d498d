import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.sdk.watch.statements import QUERY_TYPES, query_type, without_literals


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("SELECT 1", "select", id="capitals"),
        pytest.param("update a set b = 1", "update", id="small"),
        pytest.param("InSeRt into a values (1)", "insert", id="mixed"),
        pytest.param("\n\t delete from a", "delete", id="space before"),
        pytest.param("/* who; select */ -- and why\n(select 1)", "select", id="comments and parenthesis before"),
        pytest.param("with a as (select 1) insert into b select * from a", "insert", id="with"),
        pytest.param("with a as (select ')', \"(\") delete from b", "delete", id="with, parentheses in quotes"),
        pytest.param("with a as (select 1 /* ) */) update b set c = 1", "update", id="with, parenthesis in a comment"),
        pytest.param("with recursive a as (select 1) select 1", "select", id="with recursive"),
        pytest.param("with", "other", id="with and nothing"),
        pytest.param("create table a (b int)", "other", id="neither"),
        pytest.param("begin", "other", id="short"),
        pytest.param("", "other", id="empty"),
        pytest.param("/* never closed select", "other", id="open comment"),
        pytest.param("with " + "(" * 100_000, "other", id="huge"),
    ],
)
def test_query_type(statement, expected):
    assert query_type(statement) == expected


@given(st.text())
def test_any_text_has_a_type_and_a_harmless_form(text):
    assert query_type(text) in QUERY_TYPES
    assert len(without_literals(text, 20)) <= 21


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("select  *\nfrom a", "select * from a", id="one line"),
        pytest.param("select 'a', 'it''s', $1", "select '?', '?', $1", id="literals"),
        pytest.param("select 'never closed", "select '?'", id="open literal"),
        pytest.param("select 'a' where b = E'it\\'s c' and d", "select…", id="escapes"),
        pytest.param("select 'a', $$b$$ from c", "select…", id="dollars after a literal"),
        pytest.param("select $body$b$body$ from c", "select…", id="dollars"),
        pytest.param("select a, b, c, d, e, f, g, h, i, j", "select a, b, c, d, e, f, g, h,…", id="long"),
    ],
)
def test_without_literals(statement, expected):
    assert without_literals(statement, 30) == expected


@given(st.lists(st.sampled_from(["'", "''", "\\", "$$", "$a$", " ", ",", "x", "E"])), st.text("'\\$ ", max_size=3))
def test_the_inside_of_a_literal_is_never_shown(before, inside):
    secret = "SECRET"
    closed = "".join(before).replace("'", "").replace("\\", "").replace("$", "")
    for quoted in (f"'{secret}'", f"'{inside.replace(chr(39), chr(39) * 2)}{secret}'", f"$${secret}$$"):
        assert secret not in without_literals(f"{closed}{quoted}", 500)
