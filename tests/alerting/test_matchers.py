"""Matchers as people write them in routes, and what they match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import Syntax, matches, parse_matchers, read_matchers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('team="a"', ['team="a"']),
        ("team=a", ['team="a"']),
        (" team != 'a b' ".replace("'", '"'), ['team!="a b"']),
        ('{a="b", c=~"d|e",}', ['a="b"', 'c=~"d|e"']),
        ("a=b,c!~d", ['a="b"', 'c!~"d"']),
        ('"k8s.pod"="p 1"', ['k8s.pod="p 1"']),
        ("🙂=~x", ['🙂=~"x"']),
        ('foo-bar="x"', ['foo-bar="x"']),
        ("foo=", ['foo=""']),
        ("foo=a b", ['foo="a b"']),
        ('foo=""', ['foo=""']),
        (r'q="say \"hi\", \\ \n"', [r'q="say \"hi\", \\ \n"']),
        (r"trickier==\\=\=\"", [r'trickier="=\\=\\=\""']),
        ('""="x"', ['="x"']),
        ("{a=b", ['a="b"']),
        (r'foo="\q"', [r'foo="\\q"']),
        (r'foo="\x41"', [r'foo="\\x41"']),
        ("", []),
        ("{}", []),
    ],
)
def test_parses(text, expected):
    assert [str(one) for one in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "foo",
        '="x"',
        'foo="bar',
        'foo=bar"',
        '{"a"=b',
        "a-b=c}",
        'foo=~"x("',
        'foo=="bar"',
        "a=b,,c=d",
        "foo=(?!x)y".replace("=", "=~", 1),
        r'"a"="\xff"',
        '"a"="b',
    ],
)
def test_refuses(text):
    with pytest.raises(ValueError, match=r"."):
        parse_matchers(text)


@pytest.mark.parametrize(
    ("text", "syntax", "expected"),
    [
        pytest.param("foo=", Syntax.FALLBACK, "classic matcher", id="only classic"),
        pytest.param("foo=a b", Syntax.FALLBACK, "classic matcher", id="a blank"),
        pytest.param(r'foo="\x41"', Syntax.FALLBACK, "in disagreement", id="two meanings"),
        pytest.param('foo="a"', Syntax.FALLBACK, "", id="both"),
        pytest.param('"k8s.pod"="a"', Syntax.FALLBACK, "", id="only UTF-8"),
        pytest.param("foo=", Syntax.CLASSIC, "", id="asked for classic"),
    ],
)
def test_what_is_doubtful_is_said(text, syntax, expected):
    warning = read_matchers(text, syntax).warning
    assert expected in warning if expected else warning == ""


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        pytest.param("foo=", Syntax.UTF8, id="no value"),
        pytest.param("foo=a b", Syntax.UTF8, id="a blank"),
        pytest.param('"foo bar"=a', Syntax.CLASSIC, id="a quoted name"),
        pytest.param("foo-bar=a", Syntax.CLASSIC, id="no ASCII name"),
    ],
)
def test_each_syntax_refuses_what_only_the_other_knows(text, syntax):
    assert parse_matchers(text)
    with pytest.raises(ValueError, match="expected"):
        parse_matchers(text, syntax)


def test_strictly_read_an_escape_is_a_character():
    (one,) = parse_matchers(r'foo="\x41"', Syntax.UTF8)
    assert one.value == "A"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ('x="a"', "a", True),
        ('x=""', "", True),
        ('x!="a"', "", True),
        ('x=~"a|b"', "b", True),
        ('x=~"a"', "ab", False),
        ('x!~"a.*"', "ab", False),
        ('x=~".+"', "a\nb", False),
        ('x=~"(?s).+"', "a\nb", True),
        ('x=~".*"', "", True),
    ],
)
def test_matches(text, value, expected):
    assert matches(parse_matchers(text), Labels.of(x=value)) is expected


@given(st.text(alphabet='ab=~!"{}\\, \n🙂.(', max_size=20))
def test_any_text_is_matchers_or_a_value_error(text):
    try:
        parse_matchers(text)
    except ValueError as error:
        assert str(error)


@given(st.text(min_size=1, max_size=8), st.text(max_size=8))
def test_what_is_written_is_read_back(name, value):
    (made,) = parse_matchers(f"{_quote(name)}={_quote(value)}")
    assert (made.name, made.value) == (name, value)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
