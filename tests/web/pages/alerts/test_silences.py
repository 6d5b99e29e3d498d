"""Silences made, changed and ended by forms, with and without a script."""

from __future__ import annotations

import html
import re

import pytest
from starlette.requests import Request

from trackside.server.alerting.silences.silence import SilenceState
from trackside.server.web.pages.silences.silences_page import SilencePages

HOUR = 3_600_000
FIELDS = {"matchers": 'alertname="HighErrorRate"\njob="shop"', "for": "1h", "comment": "we know", "author": "anna"}


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ").split())


def active(night):
    return [one for one in night.silences if one.state(night.time_ms) is SilenceState.ACTIVE]


def test_a_silence_is_made_from_the_row_of_an_alert(broken):
    page = broken.get("/alerts").text
    form = page[page.index('<form class="quick"') :]
    matchers = html.unescape(re.search(r'name="matchers" value="([^"]*)"', form)[1])
    back = html.unescape(re.search(r'name="back" value="([^"]*)"', form)[1])
    answer = broken.post("/silences", {"matchers": matchers, "back": back, "for": "4h", "comment": ""})

    assert answer.status_code == 303
    assert answer.headers["location"] == back
    (silence,) = active(broken)
    assert silence.ends_ms - silence.starts_ms == 4 * HOUR
    assert [str(one) for one in silence.matchers] == ['alertname="HighErrorRate"', 'job="shop"', 'severity="critical"']
    assert "Not told: silenced by everybody until" in words(broken.get("/alerts").text)


def test_a_silence_until_resolved_ends_with_the_alert_and_the_end_is_told(broken):
    broken.post("/silences", {**FIELDS, "for": "resolved"})
    broken.advance(3)
    assert len(active(broken)) == 1
    assert "until it is resolved" in words(broken.get("/silences").text)

    broken.failing = 0
    broken.advance(12)
    assert active(broken) == []
    assert [body["status"] for host, body in broken.received if host == "oncall"] == ["firing", "resolved"]


def test_until_tomorrow_is_at_nine_in_utc_without_a_script(night):
    night.post("/silences", {**FIELDS, "for": "tomorrow"})

    (silence,) = night.silences
    assert silence.ends_ms % (24 * HOUR) == 9 * HOUR
    assert 9 * HOUR < silence.ends_ms - night.time_ms <= 33 * HOUR


def test_a_script_says_when_tomorrow_is_where_the_reader_is(night):
    night.post("/silences", {**FIELDS, "for": f"until:{night.time_ms + 5 * HOUR}"})

    assert night.silences[0].ends_ms == night.time_ms + 5 * HOUR


def test_the_form_is_filled_in_by_the_link_of_a_notification(broken):
    page = words(broken.get('/silences/new?filter={alertname="HighErrorRate",job="shop"}').text)

    assert 'alertname="HighErrorRate" job="shop"' in page
    assert "What it matches now 1 alert" in page


@pytest.mark.parametrize(
    ("matchers", "said"),
    [
        ('severity=~"critical|warning"', "What it matches now 3 alerts"),
        ('job="nowhere"', "No alert that is there now. It would hold for what comes."),
        ('job=~"("', "missing"),
        ("", "Write what an alert must have"),
    ],
)
def test_a_preview_says_what_would_be_silenced(broken, matchers, said):
    page = broken.get("/silences/new", params={"matchers": matchers}).text

    assert said in words(page[page.index('id="preview"') :])
    assert broken.silences == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"matchers": ""}, "at least one matcher", id="no matchers"),
        pytest.param({"matchers": 'job=~".*"'}, "this would silence all", id="everything"),
        pytest.param({"for": "custom"}, "The end: expected a day and a time", id="no end"),
        pytest.param({"for": "custom", "ends": "2001-01-01T00:00"}, "the start must be before the end", id="past"),
        pytest.param({"for": "custom", "ends": "9999-01-01T00:00"}, "expected a day of this century", id="far"),
        pytest.param({"for": "ever"}, "How long:", id="no length"),
        pytest.param({"for": "until:99999999999999999999"}, "The end makes no sense", id="no moment"),
        pytest.param({"from_time": "25:00"}, "When it recurs:", id="no time"),
        pytest.param({"recurrence": "{"}, "When it recurs:", id="no recurrence"),
        pytest.param({"id": "there is none"}, "not found", id="unknown"),
    ],
)
def test_a_form_that_makes_no_silence_says_why_and_keeps_what_was_typed(night, wrong, said):
    answer = night.post("/silences", {**FIELDS, "comment": "keep <this>", **wrong})

    assert answer.status_code == 400
    assert said in words(answer.text)
    assert "keep &lt;this&gt;" in answer.text
    assert night.silences == []


def test_a_silence_is_changed_in_place(night):
    night.post("/silences", FIELDS)
    (before,) = night.silences
    page = night.get(f"/silences/{before.silence_id}").text
    starts = re.search(r'name="starts" step="1" max="2100-01-01T00:00" data-utc value="([^"]+)"', page)[1]
    night.advance(1)
    night.post(
        "/silences",
        {
            **FIELDS,
            "id": before.silence_id,
            "for": "custom",
            "starts": starts,
            "ends": re.sub(r"^\d{4}", "2099", starts),
            "comment": "longer",
        },
    )

    (after,) = night.silences
    assert (after.silence_id, after.starts_ms, after.comment) == (before.silence_id, before.starts_ms, "longer")
    assert after.ends_ms > before.ends_ms


def test_a_silence_ends_when_somebody_says_so(night):
    night.post("/silences", FIELDS)
    (silence,) = night.silences
    answer = night.post(f"/silences/{silence.silence_id}/expire")

    assert answer.headers["location"] == "/silences"
    assert active(night) == []
    page = words(night.get("/silences").text)
    assert "Nothing is silenced." in page
    assert "we know by anna ended" in page
    assert "Silence again" in page


def test_a_silence_that_matches_nothing_stands_out(night):
    night.post("/silences", FIELDS)
    page = night.get("/silences").text

    assert "Matches no alert that is there now." in words(page)
    assert 'class="icon warn"' in page


def test_a_silence_recurs_and_says_when(night):
    recurring = {"for": "365d", "weekday": ["sunday", "monday"], "from_time": "02:00", "to_time": "04:00"}
    night.post("/silences", {**FIELDS, **recurring, "location": "Europe/Berlin"})
    (silence,) = night.silences

    assert "recurs on Monday, Sunday 02:00–04:00 (Europe/Berlin)" in words(night.get("/silences").text)
    page = night.get(f"/silences/{silence.silence_id}").text
    assert 'value="sunday" checked' in page
    assert 'name="to_time" value="04:00"' in page


def test_a_recurrence_that_the_form_cannot_say_is_kept(night):
    spans = [{"months": ["december"], "days_of_month": ["24:26"]}]
    body = {
        "matchers": [{"name": "job", "value": "shop", "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "x",
        "comment": "feast",
        "recurrence": spans,
    }
    assert night.ask("POST", "/api/v2/silences", json=body).status_code == 200
    (silence,) = night.silences
    page = night.get(f"/silences/{silence.silence_id}").text
    recurrence = html.unescape(re.search(r'name="recurrence" value="([^"]*)"', page)[1])
    night.post("/silences", {**FIELDS, "id": silence.silence_id, "matchers": 'job="shop"', "recurrence": recurrence})

    assert active(night) == []
    assert "recurs on day 24 to 26 in December" in words(night.get("/silences").text)


def test_who_is_nobody_in_particular_may_not_silence(night):
    # The gate asks first; here it is the page's own question.
    scope = {"type": "http", "method": "POST", "path": "/silences", "query_string": b"", "headers": []}
    response = night.run(SilencePages(night.server.console).put(Request({**scope, "state": {}})))

    assert response.status_code == 403
    assert night.silences == []


def test_after_a_silence_one_is_led_to_a_page_of_this_server_only(night):
    answer = night.post("/silences", {**FIELDS, "back": "https://evil.example/"})

    assert answer.headers["location"] == "/"


def test_a_form_of_another_site_is_refused(night):
    answer = night.post("/silences", FIELDS, headers={"origin": "https://evil.example"})

    assert answer.status_code == 403
    assert night.silences == []


def test_what_is_silenced_is_not_counted_in_the_navigation(broken):
    def firing():
        found = re.search(r'class="badge [a-z]+">(\d+)<', broken.get("/").text)
        return int(found[1]) if found else 0

    before = firing()
    broken.post("/silences", FIELDS)
    silenced = sum(1 for one in broken.get("/api/v2/alerts?active=false").json() if one["status"]["silencedBy"])

    assert silenced
    assert firing() == before - silenced
    muted = len(broken.get("/api/v2/alerts?active=false").json())
    assert f"{muted} alerts more, silenced or explained by another" in words(broken.get("/").text)
