"""The pages of jobs in a real browser: accessible, as wide as the window, live, and of use without a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from trackside.jobs.actor import Verb

PAGES = {
    "jobs": "/jobs",
    "waits": "/jobs?tab=wait",
    "costs": "/jobs?tab=cost&range=30d",
    "one queue": "/jobs?source=rq&queue=high&tab=run",
    "search": "/jobs?q=state:queued",
    "mistake": "/jobs?q=state:filed",
    "rq": "/admin/rq",
    "job": "/jobs/rq/a81f",
}
BUDGET_BYTES = 100_000

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def server(serve: Callable, served: Callable, acting: Callable) -> SimpleNamespace:
    return serve(acting(served(job_actions=acting.actions)))


@pytest.mark.parametrize("width", [400, 1360])
def test_axe_finds_nothing(
    open_page: Callable[..., Page], server: SimpleNamespace, complaints_of: Callable, width: int
) -> None:
    page = open_page("/jobs", bypass_csp=True, viewport={"width": width, "height": 900})
    found = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        found += [f"{name}, {complaint}" for complaint in complaints_of(page)]

    assert found == [], "\n".join(found)


def test_an_empty_page_is_accessible_too(
    serve: Callable, open_page: Callable[..., Page], make_console: Callable, make_app: Callable, complaints_of: Callable
) -> None:
    empty = serve(make_app(make_console()))
    page = open_page("/jobs", bypass_csp=True)
    page.goto(f"{empty.url}/jobs")

    expect(page.locator("h1")).to_have_text("No job queue is watched yet.")
    assert complaints_of(page) == []


def test_no_page_is_wider_than_the_window(
    open_page: Callable[..., Page], server: SimpleNamespace, wider_by: Callable
) -> None:
    page = open_page("/jobs")
    wide = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        for width in (2560, 1360, 820, 400, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = wider_by(page)
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_a_refresh_keeps_what_the_reader_has_open(open_page: Callable[..., Page], swapped: Callable) -> None:
    page = open_page("/jobs?refresh=0")
    page.wait_for_selector("#chart-jobs-flow canvas")
    page.evaluate("document.querySelector('#chart-jobs-flow canvas').mine = true")
    page.click(".grammar summary")
    page.fill("#q", "half a thou")
    page.evaluate("document.activeElement.blur()")
    until_swapped = swapped(page)
    page.keyboard.press("r")
    until_swapped()

    assert page.evaluate("document.querySelector('#chart-jobs-flow canvas').mine") is True
    assert page.evaluate("document.querySelector('.grammar').open") is True
    assert page.input_value("#q") == "half a thou"


def test_tabs_and_queues_change_the_page_in_place_and_the_address(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0")
    page.evaluate("window.mine = true")
    page.click(".tabs >> text=Wait")
    page.wait_for_selector("#chart-jobs-wait canvas")
    page.click(".lanes >> text=high")
    page.wait_for_selector(".chip >> text=high")

    assert page.evaluate("window.mine") is True
    expect(page).to_have_url(re.compile("tab=wait"))
    expect(page).to_have_url(re.compile("queue=high"))
    page.reload()
    page.wait_for_selector("#chart-jobs-wait canvas")
    expect(page.locator(".lanes tbody tr")).to_have_count(1)


def test_a_stacked_line_that_is_hidden_leaves_no_gap(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0&queue=high")
    page.wait_for_selector("#chart-jobs-flow canvas")
    button = page.locator("#chart-jobs-flow [data-line='0'] button")
    button.click()

    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


def test_without_scripts_everything_is_there(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs", java_script_enabled=False)

    expect(page.locator("#chart-jobs-flow svg path.line").first).to_be_visible()
    expect(page.locator("h1")).to_have_text(re.compile(r"^\s*session-poller was never seen"))
    page.fill("#q", "state:queued kind:images.sweep")
    page.click(".find-jobs button")
    expect(page.locator(".jobs tbody tr")).to_have_count(50)
    page.click(".jobs tbody tr:first-child a")
    expect(page.locator("h1")).to_have_text("images.sweep queued")


def test_the_keyboard_leads_there_and_into_the_search(open_page: Callable[..., Page], go: Callable) -> None:
    page = open_page("/targets?refresh=0")
    go(page, "j", "**/jobs*")
    page.keyboard.press("/")

    expect(page.locator("#q")).to_be_focused()


def test_a_first_visit_weighs_less_than_its_budget(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0")
    page.wait_for_load_state("networkidle")
    weight = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".reduce((sum, entry) => sum + entry.transferSize, 0)"
    )

    assert 20_000 < weight < BUDGET_BYTES


@pytest.fixture
def acted(serve: Callable, acting_app: Callable, act: Callable) -> SimpleNamespace:
    """A server where something was done already."""
    act(Verb.CANCEL, "q001", "q003", "nobody")
    act(Verb.PAUSE, "low")
    return serve(acting_app())


@pytest.mark.parametrize("width", [360, 1300])
def test_actions_are_accessible_and_fit_from_the_button_to_the_audit(
    acted: SimpleNamespace, open_page: Callable[..., Page], complaints_of: Callable, wider_by: Callable, width: int
) -> None:
    page = open_page("/jobs", bypass_csp=True, viewport={"width": width, "height": 900})
    found = []

    def look(name: str) -> None:
        by = wider_by(page)
        found.extend([f"{name} is too wide by {by}"] if by > 0 else [])
        found.extend(f"{name}, {complaint}" for complaint in complaints_of(page))

    page.goto(f"{acted.url}/jobs?q=source:rq+queue:low+state:queued&refresh=0")
    page.click("button[value=cancel] >> text=all that match")
    expect(page.locator("h1")).to_have_text("120 jobs of rq will be cancelled.")
    look("plan")
    page.click("button.primary")
    page.wait_for_selector("h1 >> text=Only 119 of 120 jobs of rq were cancelled.")
    look("outcome")
    page.click("text=What people did to jobs")
    expect(page.locator(".audit tbody tr")).to_have_count(3)
    look("audit")
    page.goto(f"{acted.url}/jobs/actions/1")
    look("an outcome with reasons")

    assert found == [], "\n".join(found)


def test_who_leaves_everything_as_it_is_changes_nothing(acted: SimpleNamespace, open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs", java_script_enabled=False)
    page.goto(f"{acted.url}/jobs?refresh=0")
    page.click(".lanes button[value=pause] >> nth=0")
    expect(page.locator("h1")).to_contain_text("will be paused")
    page.click("text=Leave everything as it is")
    page.wait_for_url("**/jobs?*")
    page.goto(f"{acted.url}/jobs/audit")

    expect(page.locator(".audit tbody tr")).to_have_count(2)


def test_the_search_box_offers_conditions_and_their_values(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0")
    box, options = page.locator("#q"), page.locator("#job-completions [role=option]")
    box.press("ArrowDown")
    expect(options.first).to_have_text("state:")
    page.keyboard.type("st")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("q")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box).to_have_value("state:queued ")
    page.keyboard.type("images.swe")
    expect(page.locator("#job-completions")).to_be_hidden()
    page.keyboard.press("Control+Backspace")
    page.keyboard.type("kind:images.sw")
    page.keyboard.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    box.fill("state:queued kind:images.sweep queue:lo")
    options.first.click()
    box.press("Enter")
    page.wait_for_url("**q=state*")

    expect(page.locator(".jobs tbody tr")).to_have_count(50)


def test_text_is_searched_for_as_it_was_written(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0")
    page.locator("#q").press_sequentially("luster")
    expect(page.locator("#job-completions [role=option]").first).to_have_text("luster.ai.Timeout")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=luster&**")
    expect(page.locator("h3 >> text=Found")).to_be_visible()


def test_marks_of_schedules_are_heard_as_words(open_page: Callable[..., Page]) -> None:
    page = open_page("/jobs?refresh=0", java_script_enabled=False)
    past = page.get_by_role("list", name="Past times of sweep")

    expect(past.get_by_role("listitem").last).to_contain_text("missed")
