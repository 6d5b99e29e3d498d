import datetime
import decimal
import enum
import json
import math
import pathlib
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.secret_keys import SecretKeys
from trackside.sdk.logs.values import MAX_PARTS, MAX_TEXT, json_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=20,
)


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Broken:
    def __str__(self):
        raise RuntimeError("no")


class BrokenMapping(dict):
    def items(self):
        raise RuntimeError("no")


class Text(str):
    def __str__(self):
        raise RuntimeError("no")


def depth(value):
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 1 + max(map(depth, value.values()), default=0) if isinstance(value, dict) else 0


@given(JSON.filter(lambda value: depth(value) <= 6))
def test_what_json_can_say_comes_back_as_it_was(value):
    assert json.loads(json_of(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(math.nan, "nan", id="not a number"),
        pytest.param(-math.inf, "-inf", id="infinity"),
        pytest.param(2**70, hex(2**70), id="an integer nobody reads"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param(Number.ONE, 1, id="enum of integers"),
        pytest.param(datetime.datetime(2025, 12, 30, tzinfo=datetime.UTC), "2025-12-30T00:00:00+00:00", id="time"),
        pytest.param(decimal.Decimal("1.50"), "1.50", id="decimal"),
        pytest.param(uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007", id="uuid"),
        pytest.param(pathlib.PurePosixPath("/tmp"), "/tmp", id="path"),
        pytest.param(b"a\xff", "a\\xff", id="bytes"),
        pytest.param(ValueError("bad"), "ValueError: bad", id="exception"),
        pytest.param({3: (1, None, True)}, {"3": [1, None, True]}, id="keys that are no texts"),
        pytest.param({"a"}, ["a"], id="set"),
        pytest.param(Broken(), "(Broken: RuntimeError when it was written)", id="broken text"),
        pytest.param(BrokenMapping(), "(BrokenMapping: RuntimeError when it was written)", id="broken mapping"),
        pytest.param(Text("fine"), "fine", id="a text with a broken text"),
        pytest.param([Broken()], ["(Broken: RuntimeError when it was written)"], id="broken inside"),
    ],
)
def test_what_json_cannot_say_is_said_as_text(value, expected):
    assert json.loads(json_of(value)) == expected


def test_a_circle_ends():
    circle = {}
    circle["self"] = circle
    assert json_of(circle).count("self") == 6


def test_no_value_is_long():
    assert len(json_of("x" * 1_000_000)) < MAX_TEXT + 100
    assert json.loads(json_of(list(range(1_000))))[-1] == "(900 more)"
    assert json.loads(json_of(dict.fromkeys(range(200))))["(more)"] == 100


def test_a_wide_and_deep_value_is_bounded_in_size_and_time():
    wide = "x" * 100
    for _ in range(6):
        wide = [wide] * 100
    began_s = time.thread_time()
    assert len(json_of(wide)) < 110 * MAX_PARTS
    assert time.thread_time() - began_s < 1


def test_secrets_inside_are_left_out():
    value = {"user": {"name": "ada", "password": "x"}, "items": [{"apiKey": ["y"]}]}
    assert json.loads(json_of(value, SecretKeys())) == {
        "user": {"name": "ada", "password": "[Filtered]"},
        "items": [{"apiKey": "[Filtered]"}],
    }
