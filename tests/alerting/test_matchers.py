"""Matchers as people write them in routes, and what they match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import matches, parse_matchers


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
        "{a=b",
        "a=b}",
        'foo=~"x("',
        'foo=="bar"',
        '""="x"',
        "a=b,,c=d",
    ],
)
def test_refuses(text):
    with pytest.raises(ValueError, match=r"."):
        parse_matchers(text)


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
