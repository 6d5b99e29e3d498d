"""Which errors are one."""

import time

import pytest

from trackside.jobs.ledger.causes import MAX_TEXT, cause, cause_text, last_frame, last_line

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/worker.py", line 12, in perform
    charge(order)
  File "C:\\shop\\billing.py", line 41, in charge
    raise TimeoutError("no answer")
TimeoutError: no answer
"""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("ValueError: order 17", "ValueError: order 4711", id="numbers"),
        pytest.param("KeyError: 'alice'", "KeyError: 'bob'", id="quoted names"),
        pytest.param(
            "Gone: 8c0f2b1e-1111-4222-8333-444455556666", "Gone: 00000000-aaaa-4bbb-8ccc-ddddeeeeffff", id="uuids"
        ),
        pytest.param("E: <Job at 0x7f1a2b3c>", "E: <Job at 0x7fffffff>", id="addresses of objects"),
        pytest.param("E: GET https://a.example/x?y=1", "E: GET https://b.example/z", id="addresses of pages"),
        pytest.param("E: mail to a@b.example", "E: mail to c.d@e.example", id="addresses of people"),
        pytest.param("E: took 1.5 s", "E: took 12.25 s", id="durations"),
        pytest.param("E: commit 4f2c9a0b1c2d3e4f", "E: commit aaaabbbbcccc1111", id="hashes"),
        pytest.param("DETAIL: x\nE: no", "DETAIL: y\nE: no", id="only the last line counts"),
    ],
)
def test_errors_of_one_cause(one, other):
    assert cause("render", one) == cause("render", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("render", "ValueError: no"), ("mail", "ValueError: no"), id="another kind"),
        pytest.param(("render", "ValueError: no"), ("render", "KeyError: no"), id="another exception"),
        pytest.param(("render", "E: disk full"), ("render", "E: table locked"), id="another text"),
        pytest.param(("render", "E: decade"), ("render", "E: facade"), id="words of hexadecimal letters"),
        pytest.param(("render", "E: utf8 broken"), ("render", "E: utf16 broken"), id="a number within a name"),
    ],
)
def test_errors_of_different_causes(one, other):
    assert cause(*one) != cause(*other)


def test_an_error_and_its_traceback_have_the_same_cause():
    assert cause("render", "TimeoutError: no answer") == cause("render", "", TRACEBACK)
    assert cause("render", "TimeoutError: no answer", TRACEBACK) == cause("render", "TimeoutError: no answer")


def test_the_place_of_an_error():
    assert last_frame(TRACEBACK) == "billing.py:41 in charge"
    assert last_frame("no frames") == ""
    assert last_line(TRACEBACK) == "TimeoutError: no answer"
    assert cause_text("", "") == ""


@pytest.mark.parametrize(
    "text", ["'" * 100_000, "a@" * 50_000, "1." * 50_000, "x://" * 30_000, "\n" * 100_000, "\ud800"]
)
def test_hostile_texts_take_no_time_and_no_room(text):
    began = time.thread_time()
    assert len(cause_text(text, text)) <= MAX_TEXT
    assert len(cause(text, text, text)) == 16
    assert time.thread_time() - began < 0.5
