import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import ParseError
from trackside.model.jobs import JobReport
from trackside.wire.job_reports import (
    MAX_ERROR_BYTES,
    MAX_REPORTS,
    MAX_TRACEBACK_BYTES,
    OUTCOMES,
    body_of,
    bounded,
    encoded,
    parsed,
)

AT = 1_800_000_000_000
FULL = JobReport(
    "rq",
    "17",
    "render",
    "high",
    2,
    "retried",
    AT,
    AT + 1,
    AT + 2,
    AT + 3,
    0.001,
    "worker-1",
    "ValueError: no",
    "Traceback …",
    0.25,
    1_000,
    0.5,
    1 << 20,
    "00f067aa0ba902b7",
    "rq",
)


def body(*reports, **more):
    return json.dumps({"reports": list(reports), **more}).encode()


def report(**more):
    return {"source": "rq", "id": "17", "kind": "render", **more}


@pytest.mark.parametrize("one", [pytest.param(FULL, id="all"), pytest.param(JobReport("rq", "1", "a"), id="little")])
def test_what_is_written_is_read(one):
    found = parsed(body_of([encoded(one), encoded(one)]))
    assert found.reports == [(0, one), (1, one)]
    assert (found.wrong, found.notes) == ([], [])


def test_what_no_receiver_would_take_is_not_written():
    odd = JobReport("rq", "1", "a", outcome="exploded", cost_usd=float("nan"), run_s=-1.0, tokens=-3, started_ms=12)
    assert json.loads(encoded(odd)) == {"source": "rq", "id": "1", "kind": "a"}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        pytest.param(17, "expected an object, got int '17'", id="a number"),
        pytest.param(None, "expected an object, got nothing", id="null"),
        pytest.param([], "expected an object, got list", id="a list"),
        pytest.param({}, "source: expected a text, got nothing", id="nothing"),
        pytest.param(report(source=""), "source: expected a text, got str ''", id="no source"),
        pytest.param(report(id=17), "id: expected a text, got int '17'", id="an id that is a number"),
        pytest.param(report(id="x" * 1001), "id: expected a text of at most 1,000 characters", id="a long id"),
        pytest.param(report(kind=[]), "kind: expected a text of at most 1,000 characters, got list", id="odd kind"),
        pytest.param(report(outcome="done"), "outcome: expected one of succeeded, failed, ", id="odd outcome"),
        pytest.param(report(outcome=["failed"]), "outcome: expected one of", id="a list as outcome"),
        pytest.param(report(attempt=-1), "attempt: expected a whole number, 0 or more", id="negative"),
        pytest.param(report(attempt=1.5), "attempt: expected a whole number", id="a fraction"),
        pytest.param(report(attempt=True), "attempt: expected a whole number", id="a truth"),
        pytest.param(report(tokens=2**60), "tokens: expected a whole number", id="more than a float holds"),
        pytest.param(report(started_ms=1_800_000_000), "started_ms: expected whole milliseconds", id="seconds"),
        pytest.param(report(finished_ms="now"), "finished_ms: expected whole milliseconds", id="a word as time"),
        pytest.param(report(cost_usd=-0.1), "cost_usd: expected a number, 0 or more", id="negative cost"),
        pytest.param(report(cost_usd="0.1"), "cost_usd: expected a number", id="a text as cost"),
        pytest.param(report(cost_usd=1e400), None, id="infinite"),
        pytest.param(report(run_s={}), "run_s: expected a number", id="an object as time"),
        pytest.param(report(traceback=["a"]), "traceback: expected a text", id="lines"),
    ],
)
def test_a_report_that_makes_no_sense_is_named_and_the_others_are_kept(odd, reason):
    told = body(report(), odd, report(id="18"))
    if reason is None:
        with pytest.raises(ParseError, match="Infinity is no number"):
            parsed(told)
        return
    found = parsed(told)
    assert [one.id for _, one in found.reports] == ["17", "18"]
    assert [index for index, _ in found.reports] == [0, 2]
    (wrong,) = found.wrong
    assert wrong.place == 1
    assert reason in wrong.reason


def test_what_we_do_not_know_yet_is_passed_over():
    ((_, one),) = parsed(body(report(colour="red", tokens=None), version=2)).reports
    assert one == JobReport("rq", "17", "render")


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        pytest.param(b"", "the body is not JSON", id="nothing"),
        pytest.param(b'{"reports": [{"source": "rq"', "the body is not JSON", id="cut off"),
        pytest.param(b"\xff\xfe\x00", "the body is not JSON", id="odd bytes"),
        pytest.param(b'{"reports": [{"run_s": 1e400}', "the body is not JSON", id="cut off after much"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
        pytest.param(b'{"reports":' + b'{"a":' * 100_000, "nested too deeply", id="deep objects"),
        pytest.param(b'{"reports": [{"cost_usd": NaN}]}', "NaN is no number", id="NaN"),
        pytest.param(b'{"reports": [{"tokens": ' + b"9" * 5_000 + b"}]}", "the body is not JSON", id="endless digits"),
        pytest.param(b"[]", "expected an object with a list", id="a list"),
        pytest.param(b'{"reports": {}}', "expected an object with a list", id="no list in it"),
        pytest.param(b"null", "expected an object with a list", id="null"),
        pytest.param(body(*[1] * (MAX_REPORTS + 1)), "1,001 reports in one request", id="too many"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(odd, reason):
    with pytest.raises(ParseError, match=reason):
        parsed(odd)


def test_long_texts_are_cut_and_that_is_noted():
    lines = "".join(f"  line {number}\n" for number in range(20_000)) + "ValueError: at last"
    found = parsed(body(report(traceback=lines, error="é" * 10_000)))
    ((_, one),) = found.reports
    assert len(one.traceback.encode()) <= MAX_TRACEBACK_BYTES
    assert len(one.error.encode()) <= MAX_ERROR_BYTES
    assert one.traceback.startswith("  line 0\n")
    assert one.traceback.endswith("\nValueError: at last")
    assert found.notes == [
        "reports[0].error was cut to 4,096 bytes",
        "reports[0].traceback was cut to 65,536 bytes",
    ]


def test_a_number_beyond_all_floats_is_refused():
    (wrong,) = parsed(b'{"reports": [{"source": "a", "id": "1", "cost_usd": 1e400}]}').wrong
    assert wrong.reason.startswith("cost_usd: expected a number")


@pytest.mark.parametrize("depth", [50, 200, 400, 800, 900, 950, 980])
def test_a_nested_value_in_the_place_of_a_text_is_named(depth):
    nested = b"[" * depth + b"]" * depth
    with suppress(ParseError):
        (wrong,) = parsed(b'{"reports": [{"source": "a", "id": "1", "error": ' + nested + b"}]}").wrong
        assert wrong.reason == "error: expected a text, got list"


@given(st.text(), st.integers(40, 200))
def test_a_bounded_text_is_never_longer(text, room):
    found = bounded(text * 7, room)
    assert len(found.encode()) <= room
    if len((text * 7).encode("utf-8", "replace")) <= room:
        assert found.encode() == (text * 7).encode("utf-8", "replace")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(odd):
    with suppress(ParseError):
        parsed(odd)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(OUTCOMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(JobReport.__dataclass_fields__, JSON)), max_size=4))
def test_any_values_are_taken_or_named(reports):
    told = json.dumps({"reports": reports}).encode()
    if b"NaN" in told or b"Infinity" in told:
        return
    try:
        found = parsed(told)
    except ParseError as error:
        # Numbers of more digits than anybody's.
        assert "not JSON" in str(error)
        return
    places = [index for index, _ in found.reports] + [wrong.place for wrong in found.wrong]
    assert sorted(places) == list(range(len(reports)))
    for _, one in found.reports:
        encoded(one)
