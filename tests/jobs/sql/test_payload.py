"""Arguments are shown without secrets, whatever they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.jobs.payloads import HIDDEN
from trackside.jobs.sql.payload import MAX_CHARACTERS, called_with, shown

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def is_secret(key):
    return any(word in key.lower() for word in ("password", "token", "secret", "api_key"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param('{"a": 1}', {"a": 1}, id="JSON"),
        pytest.param(b'{"a": "\xc3\xa9"}', {"a": "é"}, id="JSON as bytes"),
        pytest.param("no JSON", "no JSON", id="text"),
        pytest.param(b"\x80\x04\x95", "3 bytes, no text: 80 04 95", id="a pickle"),
        pytest.param("[1, [2", "[1, [2", id="broken JSON"),
        pytest.param(
            '{"password": "x", "b": {"token": ["y"]}}',
            {"password": "[redacted]", "b": {"token": "[redacted]"}},
            id="secrets",
        ),
        pytest.param('{"password": null}', {"password": HIDDEN}, id="an empty secret"),
        pytest.param('{"body": "{\\"password\\": \\"x\\"}"}', {"body": '{"password": "[redacted]"}'}, id="inner JSON"),
        pytest.param('{"password": "x", "b', '{"password": "[redacted]", "b', id="secrets in broken JSON"),
        pytest.param('{"password": "x', '{"password": "[redacted]"', id="a secret that is cut"),
        pytest.param('{"token": {"a": "x"}, "b": 1', '{"token": "[redacted]"', id="a secret object in broken JSON"),
        pytest.param('{"pin_secret": 1234, "b"', '{"pin_secret": "[redacted]", "b"', id="a secret number"),
    ],
)
def test_shown(value, expected):
    assert shown(value, is_secret) == expected


@given(JSON, JSON)
def test_no_secret_is_shown_wherever_it_stands(around, secret):
    value = {
        "list": [around, {"x_password": ["s3cret!", secret]}],
        "text": json.dumps({"token": "s3cret!"}),
        "b": around,
    }
    assert "s3cret!" not in json.dumps(shown(json.dumps(value), is_secret))


@given(st.integers(0, 90))
def test_no_secret_is_shown_of_text_that_ends_anywhere(length):
    text = json.dumps({"a": [1, {"b": "c"}], "api_key": "s3cret!", "more": {"password": {"p": ["s3cret!"]}}})
    assert "s3cret" not in str(shown(text[:length], is_secret))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '"' + "x" * 10_000_000, "1" * 5_000],
    ids=["lists", "objects", "long", "digits"],
)
def test_hostile_text_is_bounded(text):
    value = shown(text, is_secret)
    assert len(json.dumps(value)) <= MAX_CHARACTERS * 2


@given(st.binary(max_size=200))
def test_any_bytes_are_shown(data):
    json.dumps(shown(data, is_secret))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param({"a": 1}, ((), {"a": 1}), id="object"),
        pytest.param([1, 2], ((1, 2), {}), id="list"),
        pytest.param("x", (("x",), {}), id="anything else"),
        pytest.param(None, ((), {}), id="nothing"),
    ],
)
def test_called_with(payload, expected):
    assert called_with(payload) == expected
