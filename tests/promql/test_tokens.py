"""Text to tokens: numbers, strings, what is no token."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.server.promql.quoting import quoted
from trackside.server.promql.tokens import Kind, tokenize


def kinds(query: str) -> list[tuple[Kind, str]]:
    return [(token.kind, token.text) for token in tokenize(query)[:-1]]


def test_every_token_knows_its_place():
    query = 'sum by (job)(rate(x:y{a=~"b"}[5m])) >= bool -0x1f # why\n'
    tokens = tokenize(query)
    assert all(query[token.span.start : token.span.end] == token.text for token in tokens)
    assert [token.text for token in tokens[-4:]] == ["bool", "-", "0x1f", ""]
    assert tokens[-1].span.start == len(query)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("1_000", 1000.0),
        ("0x1F", 31.0),
        ("0X_1f", 31.0),
        ("017", 15.0),
        ("08", 8.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("1.5E+2", 150.0),
    ],
)
def test_a_number_is_read_as_go_reads_it(text, value):
    (token, _) = tokenize(text)
    assert (token.kind, token.number) == (Kind.NUMBER, value)


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("5m", 300_000), ("1h30m", 5_400_000), ("1y2w3d4h5m6s7ms", 33_019_506_007), ("0s", 0)]
)
def test_a_duration_counts_milliseconds(text, milliseconds):
    (token, _) = tokenize(text)
    assert (token.kind, token.number) == (Kind.DURATION, milliseconds)


def test_a_colon_separates_only_behind_a_number():
    assert kinds("a:b[5m:1m]")[0] == (Kind.METRIC_NAME, "a:b")
    assert [text for _, text in kinds("a:b[5m:1m]")] == ["a:b", "[", "5m", ":", "1m", "]"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"a\nb"', "a\nb"),
        (r"'a\'b'", "a'b"),
        (r'"\a\b\f\n\r\t\v\\"', "\a\b\f\n\r\t\v\\"),
        (r'"\xc3\xa4"', "ä"),
        (r'"\303\244"', "ä"),
        (r'"\u00e4\U0001F600"', "ä😀"),
        (r"`\n`", r"\n"),
        ("`two\nlines`", "two\nlines"),
        ('"# no comment"', "# no comment"),
        (r'"\xff"', "�"),
    ],
)
def test_a_string_is_read_as_go_reads_it(written, value):
    (token, _) = tokenize(written)
    assert (token.kind, token.string) == (Kind.STRING, value)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_a_quoted_string_is_read_back(text):
    (token, _) = tokenize(quoted(text))
    assert token.string == text


@pytest.mark.parametrize(
    ("query", "start", "reason"),
    [
        pytest.param("up\n  & x", 5, "joined by the word and", id="c's and"),
        pytest.param("rate(x[$__interval])", 7, "a dashboard's variables", id="variable of a dashboard"),
        pytest.param("x{a=“b”}", 4, "straight quotes", id="typographic quotes"),
        pytest.param('x{a="b\n"}', 4, "unterminated", id="line end in a string"),
        pytest.param('x{a="\\d+"}', 5, r"unknown escape sequence \d; a backslash itself is written twice", id="regex"),
        pytest.param("x[1.5h]", 2, "such as 1h30m", id="fraction of a duration"),
        pytest.param("x + 1x", 4, "bad number", id="letters behind a number"),
        pytest.param("x + \0", 4, "unexpected character", id="null byte"),
    ],
)
def test_what_is_no_token_is_shown_where_it_stands(query, start, reason):
    with pytest.raises(QueryError) as caught:
        tokenize(query)
    assert caught.value.start == start
    assert reason in caught.value.reason


@given(st.text())
def test_any_text_is_tokens_or_a_query_error(text):
    try:
        tokens = tokenize(text)
    except QueryError as error:
        assert error.start is not None and 0 <= error.start < len(text)
        assert error.marked()
    else:
        assert all(token.span.start < token.span.end for token in tokens[:-1])
        assert all(math.isfinite(token.number) or token.number > 0 for token in tokens)
