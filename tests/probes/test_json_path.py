import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.probes.json_path import parsed_path, same, shown_value, value_at

DOCUMENT = {"status": "ok", "a": {"b": [1, {"c.d": None}]}, "": 5}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "ok"),
        ("$.status", "ok"),
        ("$", DOCUMENT),
        ("a.b[0]", 1),
        ("a.b[-1]['c.d']", None),
        ('$["a"]["b"][1]["c.d"]', None),
        ("['']", 5),
    ],
)
def test_values_are_found(path, value):
    assert value_at(DOCUMENT, parsed_path(path)) == value


@pytest.mark.parametrize("path", ["status.x", "a.c", "a.b[2]", "a[0]", "a.b.c", "[0]", "a.b[-3]"])
def test_what_is_not_there_is_said(path):
    with pytest.raises(LookupError, match="there is no"):
        value_at(DOCUMENT, parsed_path(path))


@pytest.mark.parametrize("path", ["a..b", "a[", "a[x]", "a]", "a['b", "a b", ".", "a[0]b", "x." * 60])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="not a path"):
        parsed_path(path)


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_refused(text):
    try:
        parsed_path(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (1, 1.0, True),
        ([1, True], (1, 1), False),
        ([1], (1,), True),
        ({"a": 0}, {"a": False}, False),
        ({"a": None}, {}, False),
        ("1", 1, False),
    ],
)
def test_equal_as_json(found, expected, equal):
    assert same(found, expected) is equal


def test_long_values_are_shown_short():
    assert len(shown_value("x" * 1000)) == 60
