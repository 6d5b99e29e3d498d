"""One night in a shop, read on the pages: why somebody is told or not, what to do, what the rules say."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

import pytest


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ").split())


def item(page: str, name: str) -> str:
    """What the list says of one alert."""
    found = [part for part in page.split('<li class="alert"') if f">{name}</a> <small>" in part.split("</h3>")[0]]
    return words(found[0].split("</li>\n</ul>")[0])


def test_the_list_says_who_is_told_next_and_why(broken):
    page = broken.get("/alerts").text

    assert "oncall webhook : next notification at" in item(page, "HighErrorRate")
    assert "because it is repeated every 4h while it fires; last told at" in item(page, "HighErrorRate")


def test_the_list_says_why_nobody_is_told(broken):
    fields = {"matchers": 'alertname="QueueLong"', "for": "1h", "comment": "Anna is at it", "author": "anna"}
    broken.post("/silences", fields)
    page = broken.get("/alerts").text

    assert "Not told: inhibited by HighErrorRate, which fires and explains it" in item(page, "SlowRequests")
    assert "Not told: muted within the time interval always" in item(page, "DiskFilling")
    assert "Not told: silenced by anna until" in item(page, "QueueLong")
    assert "Anna is at it" in item(page, "QueueLong")


def test_an_alert_that_is_new_waits_for_its_group(night):
    night.failing = 0.5
    night.advance(1)
    page = words(night.get("/alerts").text)

    assert "because it fires if it stays true, and waits 30s for others of its group" in page


def test_an_alert_that_just_fired_says_what_its_group_waits_for(night):
    night.slow_s = 3
    night.advance(0.5)

    assert "because it is new, and waits 30s for others of its group" in words(night.get("/alerts").text)


def test_a_receiver_that_does_not_answer_is_said_with_the_next_try(night):
    night.slow_s = 3
    night.refusing = {"chat"}
    night.advance(3)
    page = words(night.get("/alerts").text)

    assert "because webhook did not take it yet, after" in page
    assert "503 Service Unavailable: the hook is being repaired" in page


def test_what_is_quiet_for_a_reason_is_not_what_the_page_says_first(night):
    night.disk = 0.95
    night.advance(2)

    assert "Nothing needs you: what fires (1) is silenced, muted or explained by another alert." in words(
        night.get("/alerts").text
    )


def test_what_fires_quietly_stands_below_what_somebody_has_to_look_at(broken):
    page = broken.get("/alerts").text
    headings = [words(one) for one in re.findall(r'<h2 id="set-\d+">(.*?)</h2>', page)]
    quiet = page[page.index("Firing quietly") :]

    assert headings == [
        "Firing",
        "Pending true, but not yet for long enough",
        "Firing quietly silenced, muted, or explained by another alert",
    ]
    assert "Not told: inhibited by HighErrorRate" in item(quiet, "SlowRequests")
    assert "Not told: muted within the time interval always" in item(quiet, "DiskFilling")


def test_rules_that_were_never_evaluated_do_not_say_that_all_is_well(fresh):
    page = words(fresh.get("/alerts").text)

    assert "6 rules are about to be evaluated for the first time." in page
    assert "Nothing is firing" not in page


def test_an_alert_that_is_silenced_says_so_first(broken):
    broken.post("/silences", {"matchers": 'alertname="HighErrorRate"', "for": "1h", "comment": "c", "author": "anna"})

    assert "HighErrorRate is firing, silenced, since" in words(broken.get(broken.path_of("HighErrorRate")).text)


def test_the_history_is_a_strip_for_each_alert(broken):
    broken.failing = broken.slow_s = broken.queue = broken.disk = 0
    broken.advance(12)
    page = broken.get("/alerts?range=24h").text

    assert len(re.findall(r'<svg class="strip"', page)) == 4
    assert re.search(r'aria-label="HighErrorRate: fired once, \d+.min in all"', page)
    assert "never fired" in words(page)


def test_what_flickers_is_not_said_to_have_fired_all_the_time(night):
    for _ in range(8):
        night.slow_s = 3
        night.advance(0.5)
        night.slow_s = 0.2
        night.advance(2.5)
    page = night.get("/alerts?range=24h").text

    assert 'aria-label="SlowRequests: fired on and off, 4\u202fmin in all"' in page


def test_an_alert_has_a_page_with_all_that_is_known(broken):
    page = broken.get(broken.path_of("HighErrorRate")).text
    said = words(page)

    assert "HighErrorRate is firing since" in said
    assert 'Route {}/{severity="critical"} , together with all that share alertname HighErrorRate job shop' in said
    assert re.search(r"fired once, \d min in all", said)
    assert "limit: &gt; 0.05" in page
    assert "runbook: High error rate" in said
    assert "firing: HighErrorRate first notification" in said


def test_an_alert_is_found_by_the_fingerprint_that_webhooks_and_the_api_have(broken):
    (alert,) = broken.get("/api/v2/alerts?filter=alertname=HighErrorRate").json()
    path = broken.path_of("HighErrorRate")
    assert path == f"/alerts/{alert['fingerprint']}"

    assert "HighErrorRate is firing since" in words(broken.get(path).text)
    broken.failing = 0
    broken.advance(12)
    assert "HighErrorRate is not firing." in words(broken.get(path).text)


def test_a_runbook_has_live_figures_and_no_scripts(broken):
    page = broken.get(broken.path_of("HighErrorRate")).text
    runbook = page[page.index('<div class="runbook">') :]

    assert "Customers of shop see errors." in words(runbook)
    assert 'status="500"' in words(runbook)
    assert "Now: 10" in words(runbook)
    assert "<script>alert" not in page
    assert 'href="javascript' not in page


def test_an_alert_that_is_over_keeps_its_page(broken):
    path = broken.path_of("HighErrorRate")
    broken.failing = 0
    broken.advance(12)
    page = words(broken.get(path).text)

    assert "HighErrorRate is not firing." in page
    assert "resolved: HighErrorRate" in page


@pytest.mark.parametrize("path", ["/alerts/0123456789abcdef", "/alerts/rules-of-love", "/alerts/" + "x" * 3000])
def test_an_alert_that_nobody_knows_is_no_page(night, path):
    assert night.get(path).status_code == 404


def test_an_alert_that_another_program_pushes_is_shown_as_such(night):
    night.ask("POST", "/api/v2/alerts", json=[{"labels": {"alertname": "Pushed", "severity": "none"}}])
    page = words(night.get("/alerts").text)

    assert "Pushed none" in page
    assert "Another program says so." in page
    assert "Not told: its receiver, nobody, has no way to be told" in page


def test_the_log_says_what_was_in_a_notification(broken):
    page = words(broken.get("/alerts/notifications").text)

    assert "oncall webhook firing: HighErrorRate first notification HighErrorRate firing" in page
    assert "shop fails 12% of its requests" in page or re.search(r"shop fails [\d.]+% of its requests", page)


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("receiver=oncall", True),
        ("receiver=nobody", False),
        ("outcome=delivered", True),
        ("outcome=failed", False),
        ("q=higherror", True),
        ("q=nothing-like-it", False),
        ("outcome=nonsense", True),
    ],
)
def test_the_log_is_filtered(broken, query, there):
    page = words(broken.get(f"/alerts/notifications?{query}").text)

    assert ("HighErrorRate first notification" in page) is there
    assert ("None of the log is like that." in page) is not there


def test_a_test_notification_is_sent_at_once_and_says_that_it_is_one(night):
    page = words(night.post("/alerts/notifications/test", {"receiver": "oncall"}).text)

    ((host, body),) = night.received
    assert host == "oncall"
    assert body["alerts"][0]["annotations"]["summary"].startswith("[TEST]")
    assert "webhook was taken. Look whether it has arrived." in page


def test_a_test_notification_that_is_refused_says_why(night):
    night.refusing = {"oncall"}

    page = words(night.post("/alerts/notifications/test", {"receiver": "oncall"}).text)
    assert "webhook was not taken: answered 503 Service Unavailable" in page


def test_a_test_notification_is_in_the_log_as_a_test(night):
    night.refusing = {"oncall"}
    night.post("/alerts/notifications/test", {"receiver": "oncall"})
    page = words(night.get("/alerts/notifications").text)

    assert "oncall webhook test: TracksideTest" in page
    assert "not delivered answered 503 Service Unavailable" in page
    # Nobody missed anything, and nobody needs to hear of a page that such an alert has not.
    assert "Nobody was told anything yet." in page
    assert "could not be told" not in words(night.get("/alerts").text)


def test_a_test_that_arrives_does_not_hide_what_did_not(night):
    night.slow_s, night.refusing = 3, {"chat"}
    night.advance(3)
    night.refusing = set()
    night.post("/alerts/notifications/test", {"receiver": "chat"})

    assert "chat could not be told" in words(night.get("/alerts").text)


@pytest.mark.parametrize("receiver", ["nobody", "unheard of", ""])
def test_a_receiver_without_integrations_cannot_be_tested(night, receiver):
    assert night.post("/alerts/notifications/test", {"receiver": receiver}).status_code == 404


def test_rules_say_what_they_measure_now_and_what_is_wrong_with_them(broken):
    page = words(broken.get("/alerts/rules").text)

    assert "HighErrorRate firing 20 % limit > 5.0 %" in page
    assert "QueueLong pending 140 limit > 100" in page
    assert "job:http_requests:rate5m recording 10" in page
    assert "TooManyErrors does not mean what it says" in page
    assert "What it should say: sum(rate(http_requests_total{status=" in page


def test_the_history_tells_what_is_there_now_from_what_has_just_ended(broken):
    broken.queue = 3
    broken.advance(1)
    _, history = broken.get("/alerts").text.split('<ul class="lives">')
    said = re.findall(r'aria-label="([^"]+)" focusable="false">[^>]*/></svg>\s*<a [^>]*>(\w+)</a>', history)

    assert ("over", "QueueLong") in said
    assert ("there now", "HighErrorRate") in said


def test_a_backtest_says_when_a_rule_would_have_fired(broken):
    page = words(broken.post("/alerts/rules/backtest", {"rule": "HighErrorRate", "group": "shop", "since": "1d"}).text)

    assert re.search(r"last 24 hours HighErrorRate would have fired once, \d+ min in all; 1 notification\.", page)
    assert "Notifications: oncall (webhook) 1" in page


def test_a_backtest_tries_another_limit_and_gives_the_changed_expression(broken):
    fields = {"rule": "HighErrorRate", "group": "shop", "since": "1d", "limit": "0.5"}
    page = broken.post("/alerts/rules/backtest", fields).text

    assert "With > 0.5 instead of 0.05, in the last 24 hours HighErrorRate would not have fired." in words(page)
    assert "/ sum by (job) (rate(http_requests_total[5m])) &gt; 0.5" in page
    assert 'name="limit" step="any" inputmode="decimal" value="0.5" placeholder="0.05"' in page


@pytest.mark.parametrize("limit", [pytest.param("", id="no limit"), pytest.param("0.050", id="the rule's own")])
def test_a_backtest_of_the_rule_as_it_is_changes_nothing(broken, limit):
    fields = {"rule": "HighErrorRate", "group": "shop", "since": "1d", "limit": limit}
    page = broken.post("/alerts/rules/backtest", fields).text

    assert "In the last 24 hours HighErrorRate would have fired once" in words(page)
    assert 'class="snippet"' not in page


def test_rules_offer_the_number_that_they_are_held_against(broken):
    page = broken.get("/alerts/rules").text

    assert page.count('name="limit"') == 5
    assert re.search(r'with the limit &gt; <input type="number" name="limit" [^>]*value="100"', page)


def test_a_backtest_streams_its_progress_and_ends_with_the_result(broken):
    fields = {"rule": "SlowRequests", "group": "shop", "since": "1d", "stream": "true"}
    lines = [json.loads(line) for line in broken.post("/alerts/rules/backtest", fields).text.splitlines()]

    assert lines[0]["total"] > 0
    assert "SlowRequests would have fired once" in words(lines[-1]["html"])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"rule": "Nothing"}, 404),
        ({"rule": "HighErrorRate", "since": "yesterday"}, 400),
        ({"rule": "HighErrorRate", "since": "3000d"}, 400),
    ],
)
def test_a_backtest_that_cannot_be_says_why(night, fields, status):
    assert night.post("/alerts/rules/backtest", fields).status_code == status


def test_reloading_the_result_of_a_form_leads_back(night):
    assert night.get("/alerts/rules/backtest").headers["location"] == "/alerts/rules"


def test_runbooks_are_listed_by_alert(broken):
    page = broken.get("/alerts/runbooks").text

    assert "4 alerts of 5 have no runbook." in words(page)
    assert page.index(">HighErrorRate</a>") < page.index("TooManyErrors")


def test_a_runbook_is_read_for_the_alert_that_fires(broken):
    page = words(broken.get("/alerts/runbooks/HighErrorRate").text)

    assert "HighErrorRate: firing" in page
    assert "Customers of shop see errors." in page


def test_there_is_no_runbook_of_an_alert_without(night):
    assert night.get("/alerts/runbooks/QueueLong").status_code == 404
    assert night.get("/alerts/runbooks/" + quote("../../etc/passwd", safe="")).status_code == 404
