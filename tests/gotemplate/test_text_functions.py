"""Functions on text, with RE2 underneath."""

import pytest

from trackside.server.gotemplate.text_functions import TEXT_FUNCTIONS


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("toUpper", ("abc",), "ABC"),
        ("title", ("aa bb-cc CC don't",), "Aa Bb-Cc CC Don't"),
        ("match", ("a+", "baa"), True),
        ("match", ("^a", "ba"), False),
        ("match", ("a.b", "a\nb"), False),
        ("reReplaceAll", (r"(\w+)-(\w+)", "$2:${1}x", "foo-bar"), "bar:foox"),
        ("reReplaceAll", ("(a)", "$1x$$", "ab"), "$b"),
        ("reReplaceAll", ("(?P<first>a)", "${first}${nosuch}!", "ab"), "a!b"),
        ("reReplaceAll", ("b*", "-", "abc"), "-a-c-"),
    ],
)
def test_text_functions(name, args, expected):
    assert TEXT_FUNCTIONS[name](*args) == expected


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1"])
def test_what_re2_does_not_take_is_refused(pattern):
    with pytest.raises(ValueError, match="not a regular expression"):
        TEXT_FUNCTIONS["match"](pattern, "a")


def test_a_pattern_cannot_hang():
    assert TEXT_FUNCTIONS["match"]("(a*)*$", "a" * 50_000 + "b") is True
