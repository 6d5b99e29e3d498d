"""The pages about alerts in a real browser: the whole of a night, and what holds for every page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from trackside.server.alerting.silences.silence import SilenceState

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def pages(served: SimpleNamespace) -> dict[str, str]:
    night = served.night
    fields = {"matchers": 'alertname="QueueLong"', "for": "4h", "comment": "Anna is at it", "author": "anna"}
    night.post("/silences", fields)
    return {
        "list": "/alerts",
        "grouped": "/alerts?by=severity&range=7d",
        "alert": night.path_of("HighErrorRate"),
        "silences": "/silences",
        "silence": "/silences/new?filter={alertname=~%22.*%22,job=%22shop%22}",
        "notifications": "/alerts/notifications",
        "rules": "/alerts/rules",
        "runbooks": "/alerts/runbooks",
        "runbook": "/alerts/runbooks/HighErrorRate",
    }


def item(page: Page, name: str) -> Locator:
    """What the list has of the only alert of that name."""
    return page.locator(".alert", has=page.get_by_role("heading", name=name))


def open_all(page: Page) -> None:
    """What is folded. All at once: a refresh may put others in the place of those that were found."""
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")


def test_axe_finds_nothing(
    open_page: Callable[..., Page], server: SimpleNamespace, pages: dict[str, str], complaints_of: Callable
) -> None:
    page = open_page("/alerts", bypass_csp=True)
    found = []
    for name, path in pages.items():
        page.goto(server.url + path)
        open_all(page)
        found += [f"{name}, {complaint}" for complaint in complaints_of(page)]

    assert found == [], "\n".join(found)


def test_no_page_is_wider_than_the_window(
    open_page: Callable[..., Page], server: SimpleNamespace, pages: dict[str, str], wider_by: Callable
) -> None:
    page = open_page("/alerts")
    wide = []
    for name, path in pages.items():
        page.goto(server.url + path)
        open_all(page)
        for width in (2560, 1300, 820, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = wider_by(page)
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_an_alert_arrives_is_understood_silenced_and_resolved(
    open_page: Callable[..., Page], server: SimpleNamespace
) -> None:
    night = server.night
    # It arrives: the message links to the alert's expression, the list has it on top.
    assert sorted(host for host, _ in night.received) == ["chat", "oncall"]
    page = open_page("/alerts?range=1h", viewport={"width": 360, "height": 740})
    expect(page.locator("h1")).to_contain_text("shop fails 20% of its requests")

    # It is understood: since when, how bad against which limit, who knows, what to do.
    page.get_by_role("link", name="HighErrorRate").first.click()
    page.wait_for_selector("#chart-expression canvas")
    expect(page.locator("h1")).to_contain_text("HighErrorRate is firing since")
    expect(page.locator(".telling").first).to_contain_text("oncall webhook: next notification at")
    expect(page.locator("#chart-expression .legend")).to_contain_text("limit: > 0.05")
    expect(page.locator(".runbook")).to_contain_text("Take the last release back")

    # It is silenced: two clicks.
    page.get_by_text("Silence…").click()
    page.get_by_role("button", name="until it is resolved").click()
    expect(page.locator(".telling").first).to_contain_text("Not told: silenced by everybody until")
    night.advance(2)
    assert len(night.received) == 2

    # It is resolved, that is told, and the silence is gone.
    night.failing = 0
    night.advance(12)
    page.keyboard.press("r")
    expect(page.locator("h1")).to_contain_text("HighErrorRate is not firing.")
    expect(page.locator(".log")).to_contain_text("resolved: HighErrorRate")
    assert all(one.state(night.time_ms) is SilenceState.EXPIRED for one in night.silences)
    assert night.received[-1][1]["status"] == "resolved"


def test_two_clicks_silence_an_alert_without_a_script(open_page: Callable[..., Page], server: SimpleNamespace) -> None:
    page = open_page("/alerts", java_script_enabled=False)
    page.locator(".alert").filter(has_text="HighErrorRate").first.locator("summary").click()
    page.get_by_role("button", name="for 4 hours").first.click()

    expect(item(page, "HighErrorRate")).to_contain_text("Not told: silenced by everybody until")
    assert "/alerts" in page.url


def test_tomorrow_is_the_readers_own(open_page: Callable[..., Page], server: SimpleNamespace) -> None:
    page = open_page("/alerts")
    page.locator("summary", has_text="Silence…").first.click()
    page.get_by_role("button", name="until tomorrow 9:00").first.click()
    expect(item(page, "HighErrorRate")).to_contain_text("silenced by everybody until")

    (silence,) = server.night.silences
    expected = "(() => { const at = new Date(); at.setDate(at.getDate() + 1); at.setHours(9, 0, 0, 0); return +at })()"
    assert silence.ends_ms == page.evaluate(expected)


@pytest.mark.parametrize("leaves", [False, True], ids=["at once", "after looking elsewhere, and back"])
def test_the_end_of_a_silence_is_typed_in_the_readers_own_time(
    open_page: Callable[..., Page], server: SimpleNamespace, leaves: bool
) -> None:
    night = server.night
    there = datetime.fromtimestamp(night.time_ms / 1000 + 7_200, ZoneInfo("Asia/Kolkata")).replace(microsecond=0)
    typed = there.strftime("%Y-%m-%dT%H:%M:%S")
    page = open_page("/silences/new?filter={alertname=%22HighErrorRate%22}")
    page.locator("select[name=for]").select_option("custom")
    page.get_by_label(re.compile("Until, in Asia.* time")).fill(typed)
    page.get_by_label("Why, for the others").fill("Two hours")
    if leaves:
        page.goto(server.url + "/alerts")
        # The browser fills in what was typed, and tells no script.
        page.go_back()
        expect(page.locator("input[name=ends]")).to_have_value(typed)
    page.get_by_role("button", name="Silence", exact=True).click()
    page.wait_for_url(lambda url: "/silences/new" not in url)

    (silence,) = night.silences
    assert silence.ends_ms == there.timestamp() * 1000
    # The form that changes it shows what was typed.
    page.goto(f"{server.url}/silences/{silence.silence_id}")
    expect(page.get_by_label(re.compile("Until, in Asia"))).to_have_value(typed)


@pytest.mark.parametrize("moment", ["20266-12-24T18:00", "2026-12-24T18:00:00Z", "soon", ""])
def test_a_moment_that_is_none_stops_no_script(
    open_page: Callable[..., Page], server: SimpleNamespace, moment: str
) -> None:
    page = open_page(f"/silences/new?for=custom&ends={moment}&filter={{alertname=%22HighErrorRate%22}}")
    page.get_by_label("Why, for the others").fill("Two hours")
    page.evaluate("document.getElementById('silence-form').noValidate = true")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("It was not made")

    assert not server.night.silences
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    # What the browser itself says of a refusal.
    assert [said for said in open_page.complaints if "400 (Bad Request)" not in said] == []
    open_page.complaints.clear()


def test_a_refresh_leaves_an_open_form_and_a_half_written_reason_alone(
    open_page: Callable[..., Page], server: SimpleNamespace
) -> None:
    page = open_page("/alerts")
    page.locator("summary", has_text="Silence…").first.click()
    page.locator(".quick input[name=comment]").first.fill("we are at")
    server.night.queue = 3
    server.night.advance(1)
    page.locator("body").press("Escape")
    with page.expect_response(lambda response: "/alerts" in response.url):
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("r")
    expect(page.locator(".alert", has_text="QueueLong")).to_have_count(0)

    expect(page.locator(".quick input[name=comment]").first).to_have_value("we are at")
    expect(page.locator(".silence-menu").first).to_have_attribute("open", "")


def test_a_preview_follows_what_is_typed(open_page: Callable[..., Page]) -> None:
    page = open_page("/silences/new")
    expect(page.locator("#preview")).to_contain_text("Write what an alert must have")
    page.fill("#matchers", 'alertname="HighErrorRate"')
    expect(page.locator("#preview")).to_contain_text("1 alert")
    page.fill("#matchers", 'severity=~"critical|warning"')
    expect(page.locator("#preview")).to_contain_text("3 alerts")


def test_a_preview_is_one_click_away_without_a_script(open_page: Callable[..., Page]) -> None:
    page = open_page("/silences/new", java_script_enabled=False)
    page.fill("#matchers", 'alertname="HighErrorRate"')
    page.fill("input[name=comment]", "a long story")
    page.get_by_role("button", name="What would it match?").click()

    expect(page.locator("#preview")).to_contain_text("1 alert")
    expect(page.locator("input[name=comment]")).to_have_value("a long story")


def test_a_silence_is_ended_by_a_button(open_page: Callable[..., Page], server: SimpleNamespace) -> None:
    server.night.post("/silences", {"matchers": 'job="shop"', "for": "1h", "comment": "lunch", "author": "bob"})
    page = open_page("/silences")
    expect(page.locator("h1")).to_contain_text("1 silence silences 4 alerts now.")
    page.get_by_role("button", name="End it now: lunch").click()
    expect(page.locator("h1")).to_contain_text("Nothing is silenced.")


def test_a_backtest_shows_how_far_it_is_and_then_when_it_would_have_fired(
    open_page: Callable[..., Page], server: SimpleNamespace
) -> None:
    page = open_page("/alerts/rules")
    page.get_by_role("button", name="Backtest HighErrorRate").click()
    expect(page.locator("#backtest")).to_contain_text(re.compile("HighErrorRate would have fired once"))
    expect(page.locator("#backtest .strip rect.firing")).to_have_count(1)
    page.locator("#backtest").get_by_role("button", name="Close").click()
    expect(page.locator("#backtest")).to_be_hidden()


def test_one_limit_after_the_other_is_tried_from_the_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page("/alerts/rules")
    page.get_by_role("button", name="Backtest HighErrorRate").click()
    limit = page.locator("#backtest [name=limit]")
    limit.fill("0.3")
    limit.press("Enter")
    expect(page.locator("#backtest")).to_contain_text("With > 0.3 instead of 0.05")
    expect(page.locator("#backtest .snippet pre")).to_contain_text("(rate(http_requests_total[5m])) > 0.3")
    expect(page.locator("#backtest [name=limit]")).to_be_focused()

    page.keyboard.type("0.01")
    page.keyboard.press("Enter")
    expect(page.locator("#backtest")).to_contain_text("With > 0.01 instead of 0.05")


def test_another_limit_is_tried_without_a_script(open_page: Callable[..., Page]) -> None:
    page = open_page("/alerts/rules", java_script_enabled=False)
    page.locator("#rule-HighErrorRate [name=limit]").fill("0.5")
    page.get_by_role("button", name="Backtest HighErrorRate").click()

    expect(page.locator("h1")).to_contain_text("With > 0.5 instead of 0.05")
    page.locator("[name=limit]").fill("0.01")
    page.get_by_role("button", name="Backtest HighErrorRate").click()
    expect(page.locator("h1")).to_contain_text("With > 0.01 instead of 0.05")


def test_a_backtest_is_a_page_of_its_own_without_a_script(open_page: Callable[..., Page]) -> None:
    page = open_page("/alerts/rules", java_script_enabled=False)
    page.get_by_role("button", name="Backtest HighErrorRate").click()

    expect(page.locator("h1")).to_contain_text("HighErrorRate would have fired once")


def test_the_corrected_expression_is_there_to_copy(open_page: Callable[..., Page]) -> None:
    page = open_page("/alerts/rules")
    page.locator(".finding summary", has_text="is compared with 500").click()

    corrected = page.locator(".finding .snippet pre").first
    expect(corrected).to_be_visible()
    expect(corrected).to_have_text(re.compile(r"^sum\(rate\(http_requests_total"))


def test_the_keyboard_reaches_the_silence(open_page: Callable[..., Page]) -> None:
    page = open_page("/alerts")
    page.locator("summary", has_text="Silence…").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_attribute("name", "comment")
    page.keyboard.type("at it")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(item(page, "HighErrorRate")).to_contain_text("at it")
