"""The pages in a real browser: accessible, live without flicker, and within their budget."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[3]
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
PAGES = {
    "overview": "/",
    "explore": "/explore",
    "answer": "/explore?expr=sum by (job) (rate(http_requests_total[5m]))",
    "mistake": "/explore?expr=sum(((x",
    "alerts": "/alerts",
    "targets": "/targets",
    "log-in": "/login",
    "error": "/error",
}
BUDGET_BYTES = 100_000

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def server(serve: Callable, make_console: Callable, make_app: Callable, own_pages: Callable) -> SimpleNamespace:
    console = make_console()
    app = make_app(console)
    own_pages(app)
    return SimpleNamespace(**vars(serve(app)), console=console)


def test_axe_finds_nothing(open_page: Callable[..., Page], server: SimpleNamespace, complaints_of: Callable) -> None:
    page = open_page("/", bypass_csp=True)
    found = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        found += [f"{name}, {complaint}" for complaint in complaints_of(page)]

    assert found == [], "\n".join(found)


def test_no_page_is_wider_than_the_window(
    open_page: Callable[..., Page], server: SimpleNamespace, wider_by: Callable
) -> None:
    page = open_page("/")
    wide = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        for width in (2560, 1440, 820, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = wider_by(page)
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_a_refresh_keeps_the_charts_and_brings_new_numbers(
    open_page: Callable[..., Page], server: SimpleNamespace
) -> None:
    page = open_page("/?range=1h")
    page.wait_for_selector("#chart-rate canvas")
    page.evaluate("document.querySelector('#chart-rate canvas').mine = true")
    page.click("#chart-rate [data-line='1'] button")
    before, numbers = page.inner_text(".as-of"), page.inner_text("#chart-rate .legend")
    server.console.clock.time_ms += 600_000
    page.keyboard.press("r")
    page.wait_for_function("before => document.querySelector('.as-of').innerText !== before", arg=before)

    page.wait_for_function("before => document.querySelector('#chart-rate .legend').innerText !== before", arg=numbers)
    page.wait_for_function("() => document.querySelector('#chart-rate canvas')?.mine")
    expect(page.locator("#chart-rate [data-line='1'] button")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#app")).to_have_count(1)


def test_a_page_refreshes_by_itself_and_not_while_paused(
    open_page: Callable[..., Page], server: SimpleNamespace
) -> None:
    page = open_page("/targets?refresh=2")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response(lambda response: "/targets" in response.url) as answer:
        pass
    assert answer.value.request.headers["hx-request"] == "true"

    page.click("#refresh-menu summary")
    page.click("#refresh-menu >> text=paused")
    page.wait_for_selector('#app[data-refresh-s="0"]')
    asked.clear()
    page.wait_for_timeout(2_500)
    assert asked == []


def test_a_server_that_is_away_is_said_in_one_line(open_page: Callable[..., Page], server: SimpleNamespace) -> None:
    page = open_page("/targets?refresh=2")
    server.stop()
    page.keyboard.press("r")
    expect(page.locator("#stale-note")).to_contain_text("the server does not answer. Trying again")

    # Else it would try again, and complain, at any time.
    page.close()
    open_page.complaints.clear()  # type: ignore[attr-defined] - the browser rightly notes the refused connection


def test_times_are_local_and_utc_is_a_hover_away(open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    moment = page.locator("h1 time")

    local = page.evaluate("new Date('2025-11-25T13:50:30Z').toTimeString().slice(0, 5)")
    expect(moment).to_have_text(local)
    expect(moment).to_have_attribute("title", "2025-11-25 13:50:30 UTC")


def test_dragging_over_a_chart_puts_the_time_into_the_address(open_page: Callable[..., Page]) -> None:
    page = open_page("/?range=1h")
    # When all charts are drawn, none moves any more.
    page.wait_for_load_state("networkidle")
    over = page.locator("#chart-rate .u-over")
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_url("**from=*")
    page.wait_for_selector(".ranges .fixed")

    expect(page.locator("#app")).to_have_attribute("data-refresh-s", "0")
    page.go_back()
    page.wait_for_selector('.ranges a[aria-current]:text-is("1h")')


def test_the_keyboard_goes_everywhere(open_page: Callable[..., Page], go: Callable) -> None:
    page = open_page("/")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    for letter, path in (("a", "/alerts"), ("t", "/targets"), ("e", "/explore"), ("o", "/?")):
        go(page, letter, f"**{path}*")
    page.keyboard.press("/")
    page.wait_for_url("**/explore*")
    page.keyboard.press("/")
    expect(page.locator("#expr")).to_be_focused()


def test_metric_names_are_completed(open_page: Callable[..., Page]) -> None:
    page = open_page("/explore")
    page.click("#expr")
    page.keyboard.type("sum(http_requests_to")
    page.wait_for_selector("#completions [role=option]")
    page.keyboard.press("Tab")

    expect(page.locator("#expr")).to_have_value("sum(http_requests_total")
    page.keyboard.type(")")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "expr=sum%28http_requests_total%29" in page.url


def test_a_refresh_leaves_a_half_written_query_alone(open_page: Callable[..., Page], swapped: Callable) -> None:
    page = open_page("/explore?expr=up&refresh=2")
    page.fill("#expr", "up + half a thou")
    swapped(page)()

    assert page.input_value("#expr") == "up + half a thou"


def test_without_scripts_the_numbers_and_pictures_are_there(open_page: Callable[..., Page]) -> None:
    page = open_page("/?range=1h", java_script_enabled=False)

    expect(page.locator("#chart-rate svg path.line").first).to_be_visible()
    expect(page.locator("h1")).to_have_text(re.compile(r"^\s*shop is failing"))
    page.locator('.ranges a:text-is("6h")').click()
    expect(page).to_have_url(re.compile("range=6h"))


def test_a_first_visit_weighs_less_than_its_budget(open_page: Callable[..., Page], server: SimpleNamespace) -> None:
    page = open_page("/?range=1h")
    page.wait_for_load_state("networkidle")
    weight = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".reduce((sum, entry) => sum + entry.transferSize, 0)"
    )

    assert 20_000 < weight < BUDGET_BYTES


def test_the_bundle_is_kept_by_the_browser_for_ever(bundled: None, server: SimpleNamespace) -> None:
    name = next((ROOT / "src/trackside/server/web/static/dist").glob("app-*.js")).name
    done = subprocess.run(
        ["curl", "-sI", f"{server.url}/static/{name}"], capture_output=True, text=True, check=True, timeout=60
    )

    assert "cache-control: public, max-age=31536000, immutable" in done.stdout.lower()
