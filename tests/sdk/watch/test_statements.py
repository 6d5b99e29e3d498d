from time import thread_time

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
        pytest.param("select 'a', 'it''s', $1", "select ?, ?, $1", id="texts"),
        pytest.param("select 'never closed", "select ?", id="open text"),
        pytest.param("select 4111, -1.5e-3, .5, 0xFF, 1_000", "select ?, -?, ?, ?, ?", id="numbers"),
        pytest.param(
            "select t1.c2 from t1, 2fa where a1=17", "select t1.c2 from t1, ? where a1=?", id="digits in names"
        ),
        pytest.param("where a = $1 and b = :2 and c = ?3", "where a = $1 and b = :2 and c = ?3", id="placeholders"),
        pytest.param("where a = @p1 and b = %(b1)s and c = %s", "where a = @p1 and b = %(b1)s and c = %s", id="more"),
        pytest.param("select a[1:2], '1'::int, b::varchar(9)", "select a[?:?], ?::int, b::varchar(?)", id="slices"),
        pytest.param("select 1 -- it's bob\nfrom a", "select ? from a", id="comment to the end of the line"),
        pytest.param("select /* it's bob */ 1", "select ?", id="comment"),
        pytest.param("/*a=1,/* b */ c='bob'*/ select b", "select b", id="comment in a comment"),
        pytest.param("select a /* never closed", "select a…", id="open comment"),
        pytest.param("select a # bob\nfrom b", "select a from b", id="comment of MySQL"),
        pytest.param("select a #>> '{b}' from c", "select a #>> ? from c", id="operator that looks like one"),
        pytest.param("select '--' || a || '/*'", "select ? || a || ?", id="comments in texts"),
        pytest.param("select E'it\\'s c', b'1', x'ff', N'bob'", "select ?, ?, ?, ?", id="texts with a letter before"),
        pytest.param("select 'a' where b = 'it\\'s c' and d", "select ? where b = ?…", id="perhaps an escape"),
        pytest.param("select 'a', $$b$$ from c", "select ?, ? from c", id="dollars"),
        pytest.param("select $x$it's $$ $1$x$ from c", "select ? from c", id="dollars with a name"),
        pytest.param("select $x$never closed", "select ?…", id="open dollars"),
        pytest.param(
            """select "a b".c, `d` from "e-1" """, """select "a b".c, `d` from "e-1" """[:-1], id="quoted names"
        ),
        pytest.param("""where a = "bob@shop.example" """, "where a = ?", id="no name"),
        pytest.param("insert into a values (1, 'b'), (2, 'c')", "insert into a values (?, ?), (?, ?)", id="rows"),
        pytest.param("select " + "a, " * 40, "select " + "a, " * 14 + "a…", id="long"),
        pytest.param("insert into a values ('" + "x" * 9999 + "')", "insert into a values (?…", id="a long text"),
    ],
)
def test_without_literals(statement, expected):
    assert without_literals(statement, 50) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("""select "bob", 'it\\'s', "a\\"b" from `c`""", "select ?, ?, ? from `c`", id="texts"),
        pytest.param("""select 'a\\\\', "it's", 'b'""", "select ?, ?, ?", id="a backslash itself"),
        pytest.param("select 'never closed\\", "select ?", id="open text"),
        pytest.param("select _utf8mb4'bob', a$$b, c$$d", "select ?, a$$b, c$$d", id="dollars are letters"),
    ],
)
def test_of_mysql_double_quotes_are_texts_and_backslashes_escape(statement, expected):
    for system in ("mysql", "mariadb"):
        assert without_literals(statement, 500, system) == expected


@given(st.lists(st.sampled_from(["'", "''", "\\", "$$", "$a$", " ", ",", "x", "E"])), st.text("'\\$ ", max_size=3))
def test_the_inside_of_a_literal_is_never_shown(before, inside):
    secret = "SECRET"
    closed = "".join(before).replace("'", "").replace("\\", "").replace("$", "")
    if closed.endswith("E"):
        # Of such a literal a single one would make the quote after it a part, and the next one the end.
        inside = inside.replace("\\", "\\\\")
    for quoted in (f"'{secret}'", f"'{inside.replace(chr(39), chr(39) * 2)}{secret}'", f"$${secret}$$"):
        assert secret not in without_literals(f"{closed}{quoted}", 500)


_LITERALS = st.one_of(
    st.text("ab'\" -#/*;\n$", max_size=6).map(lambda text: f"'SECRET{text.replace(chr(39), chr(39) * 2)}'"),
    st.text("ab'\" -#;\n", max_size=6).map(lambda text: f"$q$SECRET{text}$q$"),
    st.text("ab'\"\\$", max_size=6).map(lambda text: f"/*SECRET{text}*/ "),
    st.text("ab'\"\\$*/", max_size=6).map(lambda text: f"--SECRET{text}\n"),
    st.integers(0).map(lambda number: f" 777{number} "),
)


@given(st.lists(_LITERALS, max_size=6), st.lists(st.sampled_from(["a = ", "b.c1, ", '"d e" || ', "$1, "]), min_size=6))
def test_what_stands_between_literals_is_shown_and_they_are_not(literals, between):
    statement = "".join(word + literal for word, literal in zip(between, literals, strict=False))
    shown = without_literals(f"{statement}end", 5_000)
    assert "SECRET" not in shown
    assert "777" not in shown
    assert shown.endswith("end")


@pytest.mark.parametrize("unit", ["'", "/*", "$a$", '"', "1.", "--", "''\\", "(", "E'"])
def test_an_endless_statement_takes_no_time(unit):
    began_s = thread_time()
    for system in ("", "mysql"):
        without_literals(unit * 1_000_000, 1_000, system)
    assert thread_time() - began_s < 1
