"""The demo as its visitor sees it: the check's verdict, and the pages in a real browser while the shop fails."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

DEMO = [sys.executable, "-m", "trackside.cli.main", "demo"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_check_sees_everything_it_expects():
    result = subprocess.run([*DEMO, "--check", "--for", "80s", "--json"], capture_output=True, text=True, timeout=290)

    findings = json.loads(result.stdout)
    assert findings["problems"] == []
    assert result.returncode == 0
    states = [state for _, alert, state in findings["transitions"] if alert.startswith("RequestsFailing")]
    assert states[:3] == ["pending", "firing", "inactive"]
    assert [one["status"] for one in findings["notifications"]][:2] == ["firing", "resolved"]


def test_a_check_that_is_too_short_says_what_it_missed():
    result = subprocess.run([*DEMO, "--check", "--for", "3s"], capture_output=True, text=True, timeout=110)

    assert result.returncode == 1
    assert "no alert became firing" in result.stdout
    assert "no resolved notification arrived" in result.stdout


@pytest.fixture
def login_link() -> Iterator[str]:
    # Shells have what they start in the background ignore Ctrl-C: perhaps the tests, and then all that they start.
    as_in_front = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=as_in_front
    )
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+/login\?key=\S+", line):
                yield found[0]
                break
        else:
            raise AssertionError("no login link was printed")
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert "stopped" in output
    assert process.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        assert not os.environ.get("CI"), "install Debian's package chromium"
        pytest.skip("Debian's package chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(300)
def test_a_visitor_watches_the_shop_fail_and_recover(browser, login_link):
    page: Page = browser.new_page()
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(login_link)

    # After a moment the services and their routes are there, from samples that were really scraped.
    expect(page.get_by_role("link", name="shop").first).to_be_visible()
    expect(page.locator("main")).to_contain_text("/products/{sku}")
    expect(page.locator("main")).to_contain_text(re.compile(r"\d+(\.\d+)?/s"))
    expect(page.locator("h1")).to_contain_text(re.compile("fail", re.I))

    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page).to_have_url(re.compile("/alerts"))
    expect(page.locator("main")).to_contain_text("RequestsFailing")
    page.get_by_role("link", name="Notifications").click()
    expect(page.locator("main")).to_contain_text("delivered")

    page.goto(page.url.split("/alerts")[0] + "/explore?expr=sum(rate(http_requests_total[1m])")
    expect(page.locator("main")).to_contain_text(re.compile("unexpected|expected|closed", re.I))
    expect(page.locator("main")).to_contain_text("^")
    assert problems == []
