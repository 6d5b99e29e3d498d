import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.sdk.logs.lines import MAX_LINE, Lines, may_hold_secret
from trackside.sdk.scrub import Scrubber

NOON = 1767096000.0
ABOUT = ("info", "AuthService")


class Address:
    """As clients have them: its text is what it stands for."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


def line(message="hello", fields=None, failure=None, lines=None):
    return (lines or Lines(scrubber=Scrubber())).line(NOON, ABOUT, message, fields or {}, failure)


def test_a_line_of_the_documented_form():
    assert line("User logged in", {"user_id": "user-123", "request_id": "req-abc"}) == (
        '{"timestamp":"2025-12-30T12:00:00.000Z","level":"info","context":"AuthService","message":"User logged in",'
        '"userId":"user-123","requestId":"req-abc"}'
    )


def test_milliseconds_and_the_next_second():
    lines = Lines()
    stamps = [
        json.loads(lines.line(when_s, ABOUT, "", {}))["timestamp"] for when_s in (NOON + 0.9996, NOON + 1.5, NOON)
    ]
    assert stamps == ["2025-12-30T12:00:00.999Z", "2025-12-30T12:00:01.500Z", "2025-12-30T12:00:00.000Z"]


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.lists(st.text())))
def test_whatever_is_in_it_it_is_one_line_of_json(message, fields):
    written = line(message, fields)
    assert len(written.splitlines()) == 1
    assert written.encode()
    assert set(json.loads(written)) >= {"timestamp", "level", "context", "message"}


def test_what_cannot_be_written_is_replaced():
    assert json.loads(line("a\udcffb"))["message"] == "a?b"


def test_line_ends_of_other_readers_are_escaped():
    written = line("a\u2028b\u2029c\x85d\x7fe")
    assert "\u2028" not in written
    assert json.loads(written)["message"] == "a\u2028b\u2029c\x85d\x7fe"


def test_fields_do_not_take_the_place_of_the_lines_own():
    found = json.loads(line("m", {"level": 9, "message": "x", "timestamp": 0, "exception": "e"}))
    assert (found["level"], found["message"], found["level_"], found["message_"]) == ("info", "m", 9, "x")
    assert (found["timestamp_"], found["exception_"]) == (0, "e")


def test_names_are_a_choice():
    assert json.loads(line("m", {"request_id": "r"}, lines=Lines({"request_id": "rid"})))["rid"] == "r"


def test_a_line_is_never_long():
    found = json.loads(line("m" * 100_000, {f"f{number}": "x" * 7_000 for number in range(50)}))
    assert found["fieldsLeftOut"] == 50 - sum(name.startswith("f") for name in found) + 1
    assert len(json.dumps(found)) <= MAX_LINE + 1_000


def test_many_names_are_not_kept():
    lines = Lines()
    for number in range(5_000):
        lines.line(NOON, ("info", f"context-{number}"), "", {f"field-{number}": 1})
    assert len(lines._befores) <= 1_024
    assert len(lines._heads) <= 1_024


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        pytest.param("m", {"password": "hunter2"}, id="by name"),
        pytest.param("m", {"Authorization": "hunter2"}, id="header"),
        pytest.param("m", {"user": {"tokens": [{"access_token": "hunter2"}]}}, id="nested"),
        pytest.param("login with password=hunter2 failed", {}, id="in the message"),
        pytest.param("Authorization: Bearer hunter2", {}, id="bearer"),
        pytest.param("cannot reach postgres://app:hunter2@db/shop", {}, id="in a URL"),
        pytest.param("m", {"url": "https://api.example.com/v1/customers/1234567?token=hunter2"}, id="in a long field"),
        pytest.param("m", {"url": "http://u:hunter2@h"}, id="in a short URL"),
        pytest.param("m", {"url": "/a?sig=1&pwd=hunter2"}, id="in a short query"),
        pytest.param("m", {"header": "Bearer hunter2"}, id="short bearer"),
        pytest.param("m", {"url": Address("http://u:hunter2@h")}, id="in what is no text"),
        pytest.param("m", {"raw": b"pwd=hunter2"}, id="in bytes"),
        pytest.param("m", {"error": ValueError("pwd=hunter2")}, id="in an exception"),
        pytest.param("m", {"urls": ["http://a", {"next": ("Bearer hunter2",)}]}, id="in nested texts"),
        pytest.param("m", {"calls": {"http://u:hunter2@h": 1}}, id="in a nested key"),
        pytest.param("m", {"headers": [("Authorization", "hunter2")]}, id="in a pair"),
        pytest.param("m", {"headers": [{"name": "Cookie", "value": "hunter2"}]}, id="in a named value"),
        pytest.param("m", {"body": ['{"password": "hunter2"}']}, id="in JSON within"),
        pytest.param("csrf: hunter2", {}, id="a rare key in the message"),
    ],
)
def test_secrets_are_left_out(message, fields):
    assert "hunter2" not in line(message, fields)
    assert "hunter2" in line(message, fields, lines=Lines())


@pytest.mark.parametrize(
    "where",
    [{"f": "tenant-pin=hunter2"}, {"f": ["tenant_pin: hunter2"]}, {"f": {"TenantPin": "hunter2"}}],
    ids=["field", "list", "key"],
)
def test_secrets_of_the_application_are_left_out_of_texts_too(where):
    lines = Lines(scrubber=Scrubber(("tenant_pin",)))
    assert "hunter2" not in line("m", where, lines=lines)


@pytest.mark.parametrize(
    "token",
    [
        "AKIA" + "Z2" * 8,
        "AIza" + "x1" * 17,
        "ghs_" + "a1" * 12,
        "glpat-" + "a1" * 9,
        "whsec_" + "a1" * 9,
        "sk-test-" + "a1" * 9,
        "rk-live-" + "a1" * 9,
        "xoxb-" + "1a" * 8,
    ],
)
def test_short_tokens_of_a_known_form_are_left_out_everywhere(token):
    for fields in ({"f": token}, {"f": [token]}, {"f": {"g": f"with {token}"}}):
        assert token not in line("m", fields)
    assert token not in line(token)


def test_what_is_no_secret_stays_as_it_is():
    fields = {"id": "0123456789abcdef" * 2, "path": "/items/{id}", "at": "12:30:05", "a": ["x=1", {"b": "c: d"}]}
    assert {name: json.loads(line("m", fields))[name] for name in fields} == fields


def test_a_value_of_many_long_texts_is_bounded():
    began_s = time.thread_time()
    written = json.loads(line("m", {"f": ["password=" + "x=:" * 2_700 for _ in range(100)]}))
    assert time.thread_time() - began_s < 2
    assert written["f"][0] == "password=[Filtered]"
    assert written["f"][-1] == "(too much)"


def test_secrets_in_exceptions_are_left_out():
    failure = {"type": "E", "message": "bad password: hunter2", "stacktrace": 'x\n  File "a"\nE: bad password: hunter2'}
    written = line("m", failure=failure)
    assert "hunter2" not in written
    assert json.loads(written)["exception"]["type"] == "E"


def test_counts_of_tokens_stay():
    assert json.loads(line("m", {"input_tokens": 5, "max_tokens": 9}))["input_tokens"] == 5


@given(
    st.text(max_size=40),
    st.sampled_from(["password=Xy7!aaaa", "Bearer Xy7aaaaa", "secret: Xy7aaaa", "http://u:Xy7aaaa@h"]),
)
def test_the_quick_look_misses_no_secret(around, secret):
    assert may_hold_secret(f"{around} {secret}")
