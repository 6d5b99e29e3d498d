"""The pages of uptime in a real browser: accessible, and never wider than the window."""

from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

PAGES = {
    "list": "/uptime?range=1h",
    "down": "/uptime/checks/checkout?range=1h",
    "up": "/uptime/checks/api?range=24h",
    "unknown": "/uptime/checks/name%20server",
    "heartbeat": "/uptime/heartbeats/invoices",
}

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def server(serve, make_console, make_app, uptime):
    return SimpleNamespace(**vars(serve(make_app(make_console(**uptime)))))


def test_axe_finds_nothing(open_page, server, complaints_of):
    page = open_page("/uptime", bypass_csp=True)
    found = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        found += [f"{name}, {complaint}" for complaint in complaints_of(page)]

    assert found == [], "\n".join(found)


def test_no_page_is_wider_than_the_window(open_page, server, wider_by):
    page = open_page("/uptime")
    wide = []
    for name, path in PAGES.items():
        page.goto(server.url + path)
        for width in (2560, 1440, 820, 360):
            page.set_viewport_size({"width": width, "height": 800})
            by = wider_by(page)
            wide += [f"{name} at {width} by {by}"] if by > 0 else []

    assert wide == []


def test_from_the_list_to_a_check_and_its_chart(open_page, server, go):
    page = open_page("/uptime?range=1h")
    page.click("text=checkout >> nth=1")
    page.wait_for_selector("#chart-response canvas")

    assert "/uptime/checks/checkout" in page.url
    expect(page.locator("nav [aria-current=page]")).to_contain_text("Uptime")
    go(page, "u", "**/uptime?*")
