"""The public page and the one where it is written, in a real browser."""

from types import SimpleNamespace

import pytest

PAGES = {"public": "/status", "written": "/uptime/status"}

pytestmark = pytest.mark.browser


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


def test_no_page_is_wider_than_the_window(open_page, server):
    page = open_page("/status")
    wide = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        for width in (2560, 1440, 820, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_readers_see_their_own_time_and_are_warned_of_an_old_page(open_page, server):
    page = open_page("/status")

    assert page.locator(".as-of time").inner_text() == page.evaluate(
        "new Intl.DateTimeFormat(undefined, {day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit',"
        " second: '2-digit', hourCycle: 'h23'}).format(new Date('2025-11-25T14:02:15Z'))"
    )
    assert page.locator(".stale").is_visible(), "it is from long ago"


def test_it_is_whole_without_a_script(open_page, server):
    page = open_page("/status", java_script_enabled=False)

    assert page.locator("h1").inner_text() == "WebSocket connections are refused"
    assert page.locator(".days").count() == 4
