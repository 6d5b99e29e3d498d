"""How people come to the pages about alerts: by a path before all others, by links made for Alertmanager, by keys."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def page_under_a_path(browser: Browser, under_a_path: SimpleNamespace) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(60_000)
    return page


def test_everything_works_below_a_path_of_its_own(
    page_under_a_path: Page, under_a_path: SimpleNamespace, go: Callable
) -> None:
    page, answers = page_under_a_path, list[Response]()
    page.on("response", lambda response: answers.append(response))
    page.goto(under_a_path.url.removesuffix("/watch"))
    expect(page).to_have_url(under_a_path.url + "/")
    go(page, "a", "**/alerts*")
    page.get_by_role("link", name="HighErrorRate").first.click()
    page.wait_for_selector("#chart-expression canvas")

    page.get_by_text("Silence…").click()
    page.get_by_role("button", name="for 1 hour").click()
    expect(page.locator(".telling").first).to_contain_text("Not told: silenced by everybody until")
    page.locator(".telling a").first.click()
    page.get_by_role("button", name="End it now").click()
    expect(page.locator("h1")).to_contain_text("Nothing is silenced.")

    page.get_by_role("link", name="New silence").click()
    page.fill("#matchers", 'alertname="HighErrorRate"')
    expect(page.locator("#preview")).to_contain_text("1 alert")
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("button", name="Backtest HighErrorRate").click()
    page.locator("#backtest [name=limit]").fill("0.3")
    page.locator("#backtest [name=limit]").press("Enter")
    expect(page.locator("#backtest")).to_contain_text("With > 0.3 instead of 0.05")
    page.get_by_role("link", name="Runbooks").click()
    page.wait_for_url("**/alerts/runbooks?**")
    with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
        page.keyboard.press("r")

    assert [one.url for one in answers if one.status >= 400] == []
    assert {one.url.split("/")[3] for one in answers[1:]} == {"watch"}
    page.context.close()


@pytest.mark.parametrize(
    ("fragment", "path"),
    [
        pytest.param("#/alerts?receiver=oncall", "/alerts?receiver=oncall", id="as notifications have it"),
        pytest.param(
            "#/alerts?silenced=false&filter=%7Bseverity%3D%22critical%22%7D",
            "/alerts?filter=%7Bseverity%3D%22critical%22%7D",
            id="with a filter",
        ),
        pytest.param(
            "#/silences/new?filter=%7Bjob%3D%22shop%22%7D",
            "/silences/new?filter=%7Bjob%3D%22shop%22%7D",
            id="a new silence, as Grafana has it",
        ),
        pytest.param(
            "#/silences/new/%7Bjob%3D%22shop%22%7D", "/silences/new?filter=%7Bjob%3D%22shop%22%7D", id="as it was once"
        ),
        pytest.param("#/silences", "/silences", id="all silences"),
        pytest.param("#!/alerts/", "/alerts", id="with an exclamation mark"),
        pytest.param("#/status", "/#/status", id="what there is none of"),
        pytest.param("#/silences/%2E%2E%2Fx", "/#/silences/%2E%2E%2Fx", id="no silence"),
        pytest.param("#//example.com", "/#//example.com", id="somebody else's site"),
        pytest.param("#main", "/#main", id="a fragment of the page"),
    ],
)
def test_links_to_the_pages_of_alertmanager_lead_to_ours(
    open_page: Callable[..., Page], server: SimpleNamespace, fragment: str, path: str
) -> None:
    page = open_page("/" + fragment)

    expect(page).to_have_url(server.url + path)


def test_a_receiver_in_a_link_leaves_only_what_it_is_told(open_page: Callable[..., Page]) -> None:
    page = open_page("/#/alerts?receiver=oncall")

    expect(page.locator(".alert h3 a")).to_have_text(["HighErrorRate"])
    expect(page.locator("main")).to_contain_text("Only alerts that oncall is told of")


def test_keys_lead_to_the_alerts_to_the_filter_and_to_the_list_of_keys(
    open_page: Callable[..., Page], go: Callable
) -> None:
    page = open_page("/uptime")
    go(page, "a", "**/alerts*")
    expect(page.locator("h1")).to_contain_text("shop fails 20% of its requests")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")

    page.locator("[data-open=help]").focus()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#help')")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("[data-open=help]")).to_be_focused()


@pytest.mark.parametrize("path", ["/silences", "/alerts/rules", "/alerts/notifications", "/alerts/runbooks", "/uptime"])
def test_keys_work_on_each_of_the_pages(open_page: Callable[..., Page], go: Callable, path: str) -> None:
    page = open_page(path)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    go(page, "a", "**/alerts*")

    expect(page.locator("h1")).to_contain_text("shop fails 20% of its requests")


def test_a_link_outlives_the_log_in(browser: Browser, serve: Callable, site: Any) -> None:
    url = serve(site.app()).url
    page = browser.new_context().new_page()
    page.goto(f"{url}/#/alerts?filter=%7Bjob%3D%22shop%22%7D")
    page.fill("#key", site.key)
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{url}/alerts?filter=%7Bjob%3D%22shop%22%7D")
    page.context.close()
