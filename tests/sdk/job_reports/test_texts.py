import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.sdk.job_reports.texts import MAX_RAW, clean_error, clean_traceback, error_of, traceback_of
from trackside.sdk.scrub import Scrubber
from trackside.wire.job_reports import MAX_ERROR_BYTES, MAX_TRACEBACK_BYTES

SCRUBBER = Scrubber()
PEM = "-----BEGIN PRIVATE KEY-----\n" + "c2VjcmV0\n" * 3 + "-----END PRIVATE KEY-----\n"


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_traceback_has_its_causes():
    try:
        try:
            raise ValueError("first")
        except ValueError as error:
            raise KeyError("second") from error
    except KeyError as error:
        text = traceback_of(error)
        assert text.index("ValueError: first") < text.index("direct cause") < text.index("KeyError: 'second'")
        assert error_of(error) == "KeyError: 'second'"


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("none")


class NoName(Exception):
    __module__ = property(lambda self: 1 / 0)


@pytest.mark.parametrize(
    "error",
    [
        NoText(),
        NoName(),
        RecursionError(),
        ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
        ValueError("\ud800"),
        ValueError("x" * 10_000_000),
        SystemExit(),
    ],
    ids=["no text", "no name", "recursion", "a group", "half a character", "endless", "an exit"],
)
def test_whatever_was_raised_has_a_text_of_bounded_length(error):
    caught = raised(error)
    assert 0 < len(traceback_of(caught)) <= MAX_RAW
    assert 0 < len(error_of(caught)) <= MAX_RAW
    assert len(clean_traceback(traceback_of(caught), SCRUBBER).encode()) <= MAX_TRACEBACK_BYTES
    assert len(clean_error(error_of(caught), SCRUBBER).encode()) <= MAX_ERROR_BYTES


def lines(count):
    return "".join(f"  File x.py, line {number}, in run\n" for number in range(count))


def test_of_a_long_traceback_the_beginning_and_the_end_stay():
    text = clean_traceback("Traceback (most recent call last):\n" + lines(5_000) + "ValueError: no", SCRUBBER)
    assert text.startswith("Traceback (most")
    assert text.endswith("ValueError: no")
    assert "… (cut) …" in text


@pytest.mark.parametrize("before", [0, 100, 1_000, 2_000, 3_000])
@pytest.mark.parametrize("after", [0, 100, 1_000, 1_500, 2_000])
def test_wherever_it_is_cut_no_secret_stays(before, after):
    text = lines(before) + 'password="hunter2xyz"\n' + PEM + lines(after) + "ValueError: token=hunter2xyz"
    cleaned = clean_traceback(text, SCRUBBER)
    assert "hunter2" not in cleaned
    assert "c2VjcmV0" not in cleaned
    assert cleaned.endswith("ValueError: token=[Filtered]")


@pytest.mark.parametrize("length", [60_000, 70_000, 200_000])
def test_a_line_without_an_end_is_known_by_its_beginning(length):
    cleaned = clean_traceback("ValueError: password=" + "h" * length, SCRUBBER)
    assert "hhhh" not in cleaned


@given(st.text(st.sampled_from("ab\n -=:\"'{}é€"), max_size=200), st.integers(1, 600))
def test_a_cleaned_text_is_bounded(text, times):
    assert len(clean_traceback(text * times, SCRUBBER).encode()) <= MAX_TRACEBACK_BYTES
    assert len(clean_error(text * times, SCRUBBER).encode()) <= MAX_ERROR_BYTES
