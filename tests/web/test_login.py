from __future__ import annotations

from urllib.parse import quote

import pytest

from trackside.server.access.roles import Role
from trackside.server.access.throttle import FREE_FAILURES, WINDOW_MS
from trackside.server.web.forms import MAX_FIELDS, MAX_FORM_BYTES


def cookie_in(response) -> str:
    return response.headers["set-cookie"]


class TestLoggingIn:
    def test_by_form(self, site):
        response = site.post("/login", key=None, data={"key": site.key, "next": "/alerts?range=1h"})

        assert response.status_code == 303
        assert response.headers["location"] == "/alerts?range=1h"
        cookie = cookie_in(response)
        assert site.get("/alerts", key=None, headers={"cookie": cookie.partition(";")[0]}).status_code == 200

    def test_by_the_link_that_the_server_prints(self, site):
        response = site.get(f"/login?key={site.key}", key=None)

        assert response.status_code == 303
        assert response.headers["location"] == "/"
        assert cookie_in(response).startswith("trackside_session=")

    def test_with_spaces_that_came_along_with_the_key(self, site):
        assert site.post("/login", key=None, data={"key": f" {site.key}\n"}).status_code == 303

    def test_gives_a_cookie_that_scripts_and_other_sites_cannot_use(self, site):
        cookie = cookie_in(site.post("/login", key=None, data={"key": site.key})).lower()

        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie
        assert site.key.lower() not in cookie

    @pytest.mark.parametrize(
        ("base", "headers", "secure"),
        [
            pytest.param("http://localhost:9490", {}, False, id="without TLS"),
            pytest.param("https://localhost:9490", {}, True, id="with TLS"),
            pytest.param("http://localhost:9490", {"x-forwarded-proto": "https"}, True, id="with TLS at the proxy"),
            pytest.param("http://localhost:9490", {"x-forwarded-proto": "https, http"}, True, id="two proxies"),
            pytest.param("http://localhost:9490", {"x-forwarded-proto": "http"}, False, id="a proxy without TLS"),
        ],
    )
    def test_keeps_the_cookie_off_the_open_wire(self, site, base, headers, secure):
        response = site.post("/login", key=None, base=base, headers=headers, data={"key": site.key})

        assert ("secure" in cookie_in(response).lower()) is secure

    def test_is_shown_as_a_form(self, site):
        response = site.get("/login?next=/alerts", key=None)

        assert response.status_code == 200
        assert 'name="next" value="/alerts"' in response.text


class TestAWrongKey:
    @pytest.mark.parametrize(
        "key",
        ["", "wrong", "x" * 5_000, "\x00", "é漢", "' OR 1=1 --"],
        ids=["empty", "word", "long", "NUL", "é", "SQL"],
    )
    def test_opens_nothing(self, site, key):
        response = site.post("/login", key=None, data={"key": key})

        assert response.status_code == 403
        assert "That is no key of this server." in response.text
        assert "set-cookie" not in response.headers

    def test_is_not_repeated_in_the_page(self, site):
        assert "hunter2" not in site.post("/login", key=None, data={"key": "hunter2"}).text
        assert "hunter2" not in site.get("/login?key=hunter2", key=None).text

    def test_keeps_where_the_visitor_wanted_to_go(self, site):
        assert 'value="/alerts"' in site.post("/login", key=None, data={"key": "wrong", "next": "/alerts"}).text

    def test_makes_the_client_wait_after_some(self, site):
        for _ in range(FREE_FAILURES):
            site.post("/login", key=None, data={"key": "wrong"})

        response = site.post("/login", key=None, data={"key": site.key})

        assert response.status_code == 429
        assert response.headers["retry-after"] == "60"
        assert "Try again in 60 s." in response.text
        assert site.post("/login", key=None, client="192.0.2.8", data={"key": site.key}).status_code == 303
        site.clock.time_ms += WINDOW_MS
        assert site.post("/login", key=None, data={"key": site.key}).status_code == 303

    def test_may_not_be_tried_for_free_by_links(self, site):
        for _ in range(FREE_FAILURES):
            site.get("/login?key=wrong", key=None)

        assert site.get(f"/login?key={site.key}", key=None).status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "/a\\..\\evil",
        "javascript:alert(1)",
        "evil.example",
        "/x\r\nset-cookie: a=b",
        "/login?next=/login",
        "/logout",
        "/" + "x" * 3_000,
        "",
        "\x00",
    ],
)
def test_a_login_never_ends_on_another_site(site, path):
    by_form = site.post("/login", key=None, data={"key": site.key, "next": path})
    by_link = site.get(f"/login?key={site.key}&next={quote(path, safe='')}", key=None)

    assert by_form.headers["location"] == by_link.headers["location"] == "/"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/alerts",
        "/explore?expr=a%20%2F%2F%20b&range=1h",
        "/explore?expr=sum(rate(x[5m]))",
        "/a//b",
        "/?x=https://a",
    ],
)
def test_a_login_ends_on_the_page_that_was_wanted(site, path):
    assert site.post("/login", key=None, data={"key": site.key, "next": path}).headers["location"] == path


def test_a_next_page_in_other_letters_is_escaped(site):
    response = site.post("/login", key=None, data={"key": site.key, "next": "/explore?expr=größe"})

    assert response.headers["location"] == "/explore?expr=gr%C3%B6%C3%9Fe"


def test_text_in_the_address_cannot_become_part_of_the_page(site):
    page = site.get("/login?next=" + quote('/"><script>alert(1)</script>', safe=""), key=None).text

    assert "<script>alert" not in page


class TestLoggingOut:
    def test_takes_the_cookie_away(self, site, cookie_of):
        headers = {**cookie_of(Role.VIEWER), "origin": "http://trackside.example:9490"}

        response = site.post("/logout", key=None, headers=headers)

        assert response.status_code == 303
        assert response.headers["location"] == "/login"
        assert 'trackside_session="";' in cookie_in(response)
        assert "max-age=0" in cookie_in(response).lower()

    def test_is_nothing_that_another_site_can_do(self, site, cookie_of):
        headers = {**cookie_of(Role.VIEWER), "origin": "https://evil.example"}

        assert site.post("/logout", key=None, headers=headers).status_code == 403


class TestFormsThatAreNone:
    @pytest.mark.parametrize(
        ("content", "status", "said"),
        [
            pytest.param(b"key=" + b"x" * MAX_FORM_BYTES, 413, "longer than 1,048,576 bytes", id="too long"),
            pytest.param(b"a=b&" * MAX_FIELDS, 413, "more than 1,000 fields", id="too many fields"),
            pytest.param(
                b"key=%ff", 400, "invalid parameter &#34;key&#34;: byte 1 of its value is not UTF-8", id="no text"
            ),
            pytest.param(b"key=\xc3", 400, "not UTF-8", id="raw bytes"),
            pytest.param(b"", 403, "no key of this server", id="empty"),
            pytest.param(b"&&&=&=&", 403, "no key of this server", id="separators"),
            pytest.param(b"%", 403, "no key of this server", id="half an escape"),
            pytest.param(b'{"key": "x"}', 403, "no key of this server", id="JSON"),
        ],
    )
    def test_are_refused_with_a_page(self, site, content, status, said):
        response = site.post("/login", key=None, content=content)

        assert response.status_code == status
        assert said in response.text
        assert response.headers["content-type"].startswith("text/html")


class TestBelowAPath:
    """As people see it; requests come as a proxy hands them on, without it."""

    @pytest.fixture(autouse=True)
    def below(self, site):
        site.console["external_url"] = "https://monitoring.example/watch"

    def test_who_has_to_log_in_is_led_there(self, site):
        assert site.get("/alerts", key=None).headers["location"] == "/watch/login?next=%2Falerts"
        page = site.get("/login", key=None, headers={"accept-encoding": "gzip"})
        assert page.headers["content-encoding"] == "gzip"
        assert 'action="/watch/login"' in page.text

    def test_a_session_is_for_this_server_and_leads_back_to_the_page(self, site):
        response = site.post("/login", key=None, data={"key": site.key, "next": "/alerts"})

        assert response.headers["location"] == "/watch/alerts"
        assert "; Path=/watch/; " in cookie_in(response)
