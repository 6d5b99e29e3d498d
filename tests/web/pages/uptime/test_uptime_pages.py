import html
import re

import pytest

KEY = "k" * 32


def words(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.replace("<wbr>", ""))).replace("\u202f", " ").split())


def test_the_worst_is_said_first_with_its_reason(visit, uptime):
    page = words(visit("/uptime?range=1h", **uptime))

    assert "checkout is down since 13:50 UTC HTTP 503; expected 200-299" in page
    assert page.index("checkout is down") < page.index("websocket goes up and down")
    assert "invoices has failed" in page


def test_doubt_stands_before_everything_else(visit, uptime):
    page = words(visit("/uptime", doubt=lambda: "4 of 5 checks fail at once: there is no way out", **uptime))

    assert page.index("4 of 5 checks fail at once") < page.index("checkout is down")


def test_a_row_says_state_share_certificate_and_when_it_is_asked_next(visit, uptime):
    page = words(visit("/uptime?range=1h", **uptime))

    assert "checkout https://shop.example.com/checkout down for 12 min" in page
    assert "73.33 %" in page
    assert "62 days in 39 s" in page
    assert "websocket wss://api.example.com/ws flapping for 3 min" in page
    assert "9 days" in page
    assert "name server dns://192.0.2.53/example.com not known yet" in page


def test_the_picture_is_said_in_words_too(visit, uptime):
    page = html.unescape(visit("/uptime?range=1h", **uptime)).replace("\u202f", " ")

    assert 'aria-label="checkout: 73.33 % up, down for 16 min"' in page
    assert 'aria-label="name server: nothing is known of this period"' in page


def test_all_is_well_in_one_calm_line(visit, uptime):
    calm = {**uptime, "checks": lambda: uptime["checks"]()[:1], "heartbeats": lambda: uptime["heartbeats"]()[:1]}

    assert "All 1 check up, 1 heartbeat as they should be." in words(visit("/uptime", **calm))


def test_nothing_to_ask_shows_the_lines_to_copy(visit):
    page = visit("/uptime")

    assert "Nothing is asked from outside yet." in page
    assert "heartbeats:" in page


def test_one_check_in_full(visit, uptime):
    page = words(visit("/uptime/checks/checkout?range=1h", **uptime))

    assert "processing 87 ms transfer 3 ms All of it 127 ms" in page
    assert "Address 192.0.2.10 HTTP 503 TLS 1.3 HTTP 503; expected 200-299" in page
    assert "4 min no complete answer within 10 s" in page
    assert "12 min, and goes on HTTP 503; expected 200-299" in page
    assert "team web" in page


@pytest.mark.parametrize("name", ["a%2Fb%20c", "name%20server", "websocket", "api"])
def test_every_kind_of_check_has_a_page(name, visit, uptime):
    assert "Response time" in visit(f"/uptime/checks/{name}", **uptime)


def test_what_a_job_told_is_text_and_nothing_else(visit, uptime):
    page = visit("/uptime/heartbeats/invoices", **uptime)

    assert "could not reach &lt;the bank&gt;" in page
    assert KEY not in page, "nobody may act here"


@pytest.mark.parametrize("path", ["/uptime/checks/nope", "/uptime/heartbeats/nope", "/uptime/checks/%00%ff"])
def test_what_is_not_there(path, ask_for, uptime):
    assert ask_for(path, **uptime).status_code == 404
