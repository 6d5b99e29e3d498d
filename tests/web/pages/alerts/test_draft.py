"""What is typed into the form of a silence: any text makes a silence, or a sentence that says why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import MultiDict

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.silence import Silence
from trackside.server.web.pages.silences.draft import Draft, DraftError, tomorrow_ms
from trackside.server.web.pages.silences.words import recurrence_words

NOW_MS = 1_764_079_335_000
HOUR = 3_600_000
NAMES = ("id", "matchers", "for", "starts", "ends", "comment", "author", "weekday", "from_time", "to_time", "location")


def draft(**fields: str) -> Draft:
    return Draft.of_form(MultiDict({"matchers": 'job="shop"', **fields}), "anna")


@given(st.dictionaries(st.sampled_from((*NAMES, "recurrence")), st.text(max_size=40)))
def test_any_text_makes_a_silence_or_a_sentence(fields):
    try:
        silence = Draft.of_form(MultiDict(fields), "anna").silence(NOW_MS)
    except DraftError as error:
        assert str(error)
    else:
        assert isinstance(silence, Silence)


@pytest.mark.parametrize(
    ("length", "ends_ms"),
    [
        ("1h", NOW_MS + HOUR),
        ("30d", NOW_MS + 30 * 24 * HOUR),
        ("resolved", NOW_MS + 24 * HOUR),
        ("tomorrow", tomorrow_ms(NOW_MS)),
        (f"until:{NOW_MS + 5}", NOW_MS + 5),
    ],
)
def test_a_length_has_an_end(length, ends_ms):
    assert draft(**{"for": length}).silence(NOW_MS).ends_ms == ends_ms


def test_a_length_counts_from_a_start_that_is_to_come():
    silence = draft(starts="2026-01-01T00:00", **{"for": "1h"}).silence(NOW_MS)

    assert silence.ends_ms - silence.starts_ms == HOUR


@pytest.mark.parametrize(
    "written", ['a="1"\nb!="2"', 'a="1",\r\nb!="2"\n\n', '{a="1", b!="2"}', 'a="1", b!="2"'], ids=range(4)
)
def test_matchers_are_a_line_each_or_a_list(written):
    assert draft(matchers=written).spelled_out().matchers == 'a="1"\nb!="2"'


@pytest.mark.parametrize(
    "spans",
    [
        [],
        [{"weekdays": ["monday"], "times": [{"start_time": "02:00", "end_time": "04:00"}], "location": "Asia/Tokyo"}],
        [{"months": ["december"]}, {"weekdays": ["monday:friday"]}],
    ],
)
def test_a_silence_goes_through_its_form_unchanged(spans):
    before = Silence(
        "id",
        parse_matchers('a="1"'),
        NOW_MS // 1000 * 1000,
        NOW_MS // 1000 * 1000 + HOUR,
        "anna",
        "why",
        annotations=Labels(),
        recurrence=Recurrence.of(spans),
    )

    assert Draft.of_silence(before).silence(NOW_MS) == before


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], ""),
        ([{"weekdays": ["monday:friday"]}], "on Monday to Friday"),
        ([{"times": [{"start_time": "02:00", "end_time": "04:00"}]}], "02:00–04:00 (UTC)"),
        ([{"months": ["may"], "years": ["2030"]}, {"days_of_month": ["1"]}], "in May in 2030; on day 1"),
    ],
)
def test_a_recurrence_is_said_in_words(spans, expected):
    assert recurrence_words(Recurrence.of(spans)) == expected
