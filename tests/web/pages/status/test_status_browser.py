"""The public page and the one where it is written, in a real browser."""

from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

PAGES = {"public": "/status", "written": "/uptime/status"}

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def server(serve, status_app):
    return SimpleNamespace(**vars(serve(status_app())))


def test_axe_finds_nothing(open_page, server, complaints_of):
    page = open_page("/status", bypass_csp=True)
    found = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        found += [f"{name}, {complaint}" for complaint in complaints_of(page)]

    assert found == [], "\n".join(found)


def test_no_page_is_wider_than_the_window(open_page, server, wider_by):
    page = open_page("/status")
    wide = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        for width in (2560, 1440, 820, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = wider_by(page)
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_readers_see_their_own_time_and_are_warned_of_an_old_page(open_page, server):
    page = open_page("/status")

    local = page.evaluate(
        "new Intl.DateTimeFormat(undefined, {day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit',"
        " second: '2-digit', hourCycle: 'h23'}).format(new Date('2025-11-25T14:02:15Z'))"
    )
    expect(page.locator(".as-of time")).to_have_text(local)
    # It is from long ago.
    expect(page.locator(".stale")).to_be_visible()


def test_it_is_whole_without_a_script(open_page, server):
    page = open_page("/status", java_script_enabled=False)

    expect(page.locator("h1")).to_have_text("WebSocket connections are refused")
    expect(page.locator(".days")).to_have_count(4)
