"""What was handed to a job is shown, and does nothing."""

import collections
import contextlib
import datetime
import decimal
import enum
import json
import pickle
import struct
import time
import uuid
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import ParseError
from trackside.jobs import payloads
from trackside.jobs.payloads import decoded, inflated, shown
from trackside.jobs.pickles import unpickled

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def is_secret(key):
    return "password" in key


class Colour(enum.Enum):
    RED = 1


class Account:
    def __init__(self):
        self.name = "ada"
        self.password = "hush"


class Ran(Exception):
    """What a pickle did that must do nothing."""


class Evil:
    def __reduce__(self):
        return exec, ("raise Ran",)


UTC = datetime.UTC
TWO_HOURS = datetime.timezone(datetime.timedelta(hours=-2, minutes=-30))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param([True, False, 1, -1, 2.5], [True, False, 1, -1, 2.5], id="plain values"),
        pytest.param(2**60, str(2**60), id="more than a browser counts"),
        pytest.param(float("inf"), "inf", id="no number in JSON"),
        pytest.param("Zoë", "Zoë", id="text"),
        pytest.param(b"plain", "plain", id="bytes that are text"),
        pytest.param(b"\x00\xff", "<2 bytes>", id="bytes that are none"),
        pytest.param({"a": [1], 2: "b"}, {"a": [1], "2": "b"}, id="a dict"),
        pytest.param({"user": "ada", "password": "hush"}, {"user": "ada", "password": "[redacted]"}, id="a secret"),
        pytest.param({1, 2}, [1, 2], id="a set"),
        pytest.param(frozenset([3]), [3], id="a frozen set"),
        pytest.param(datetime.datetime.fromisoformat("2026-01-02T03:04:05"), "2026-01-02T03:04:05", id="a moment"),
        pytest.param(datetime.datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z", id="a moment in UTC"),
        pytest.param(datetime.datetime(2026, 1, 2, tzinfo=TWO_HOURS), "2026-01-02T00:00:00-02:30", id="elsewhere"),
        pytest.param(datetime.date(2026, 1, 2), "2026-01-02", id="a day"),
        pytest.param(decimal.Decimal("1.50"), "1.50", id="a decimal"),
        pytest.param(collections.OrderedDict(a=1), 'collections.OrderedDict({"a": 1})', id="a dict of its own class"),
    ],
)
def test_values_are_shown_as_they_are(value, expected, protocol):
    assert shown(unpickled(pickle.dumps(value, protocol)), is_secret) == expected


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_objects_are_shown_by_their_names_and_arguments(protocol):
    found = shown(unpickled(pickle.dumps([Account(), uuid.UUID(int=7), ValueError("boom")], protocol)), is_secret)

    assert found[0].endswith('Account(name="ada", password="[redacted]")')
    assert found[1] == "00000000-0000-0000-0000-000000000007"
    assert found[2].endswith('.ValueError("boom")')


def test_an_enum_is_shown_with_its_value():
    assert shown(unpickled(pickle.dumps(Colour.RED)), is_secret).endswith("Colour(1)")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_would_run_something_is_only_read(protocol):
    data = pickle.dumps(Evil(), protocol)

    assert shown(unpickled(data), is_secret).endswith('.exec("raise Ran")')


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80\x04", id="truncated"),
        pytest.param(b"\x80\x04.", id="nothing on the stack"),
        pytest.param(b"\x80\x04\x85.", id="a tuple of nothing"),
        pytest.param(b"\x80\x04(\x85.", id="a tuple of a mark"),
        pytest.param(b"\x80\x04t.", id="no mark"),
        pytest.param(b"\x80\x04h\x05.", id="never remembered"),
        pytest.param(b"\x80\x04Na.", id="an item for nothing"),
        pytest.param(b"\x80\x04K\x01K\x02s.", id="a value of no dict"),
        pytest.param(b"\x80\x04}(K\x01u.", id="a key without a value"),
        pytest.param(b"\x80\x04\x96" + struct.pack("<Q", 1 << 60) + b".", id="an array larger than the world"),
        pytest.param(b"\x80\x04\x8b" + struct.pack("<i", -1) + b".", id="a number of negative length"),
        pytest.param(b"I" + b"9" * 10_000 + b"\n.", id="a number of ten thousand digits"),
        pytest.param(b"\xff\xfe\x00", id="no pickle at all"),
        pytest.param(b"x" * (2 << 20), id="too large"),
    ],
)
def test_what_is_no_pickle_is_refused(data):
    with pytest.raises(ParseError):
        unpickled(data)


def test_a_memo_of_a_huge_index_takes_no_memory():
    assert unpickled(b"\x80\x04Nr" + struct.pack("<I", 0xFFFFFFFF) + b".") is None


def test_a_structure_that_contains_itself_ends():
    loop = []
    loop.append(loop)
    laughs = ["ha"]
    for _ in range(60):
        laughs = [laughs, laughs]

    assert len(json.dumps(shown(unpickled(pickle.dumps([loop, laughs])), is_secret))) < 100_000


def test_nesting_without_end_is_cut():
    nested = shown(unpickled(b"\x80\x04" + b"]" * 50_000 + b"a" * 49_999 + b"."), is_secret)

    assert json.dumps(nested).count("[") == payloads.MAX_SHOWN_DEPTH + 1


def test_long_values_are_cut():
    found = shown({"text": "x" * 1_000_000, "more": list(range(100_000))}, is_secret)

    assert len(json.dumps(found)) < 3 * payloads.MAX_SHOWN_CHARACTERS
    assert found["text"].endswith(payloads.CUT)
    assert found["more"][-1] == payloads.CUT


def test_a_lone_surrogate_can_be_sent():
    shown("\ud800", is_secret).encode()


@pytest.mark.parametrize("data", [b'["f", null, [1], {}]', b"1", b"null", b'"text"'])
def test_json_is_read_as_json(data):
    assert decoded(data) == json.loads(data)


def test_json_of_endless_nesting_is_refused():
    with pytest.raises(ParseError):
        decoded(b"[" * 100_000)


def test_what_was_deflated_is_inflated():
    assert inflated(zlib.compress(b"data" * 100)) == b"data" * 100


def test_a_bomb_is_refused_before_it_is_inflated():
    bomb = zlib.compress(b"\0" * (32 << 20), 9)
    begin = time.thread_time()

    with pytest.raises(ParseError, match="more than"):
        inflated(bomb)
    assert time.thread_time() - begin < 0.5


def test_what_was_not_deflated_is_refused():
    with pytest.raises(ParseError):
        inflated(b"plain")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**52), 2**52) | st.text(max_size=20) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from(PROTOCOLS))
def test_plain_values_come_back_from_any_protocol(value, protocol):
    assert unpickled(pickle.dumps(value, protocol)) == value


@given(PLAIN, st.data())
def test_a_damaged_pickle_is_refused_or_shown(value, data):
    damaged = bytearray(pickle.dumps([value, Account(), {1: (2, 3)}]))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError):
        json.dumps(shown(decoded(bytes(damaged)), is_secret))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_shown(data):
    with contextlib.suppress(ParseError):
        json.dumps(shown(decoded(data), is_secret))
