from __future__ import annotations

import asyncio
from base64 import b64encode

import httpx
import jwt
import pytest
from starlette.responses import PlainTextResponse

from trackside.server.access.admission import Admission
from trackside.server.access.config import AuthConfig, JwtConfig
from trackside.server.access.roles import Role
from trackside.server.access.throttle import FREE_FAILURES, WINDOW_MS
from trackside.server.access.tokens import Tokens
from trackside.server.web.gate import Gate

OWN = {"origin": "http://trackside.example:9490"}


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class TestClosedByDefault:
    @pytest.mark.parametrize(
        "url",
        [
            "/api/v1/query?query=up",
            "/api/v1/status/config",
            "/api/v1/nothing",
            "/api/v2/alerts",
            "/metrics",
            "/-/reload",
            "/-/nothing",
        ],
    )
    def test_machines_are_told_to_send_a_key(self, site, url):
        response = site.get(url, key=None)

        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["error"] == "a key is needed: send it as 'Authorization: Bearer KEY'"
        assert site.backend.asked == []

    @pytest.mark.parametrize(
        ("url", "login"),
        [
            pytest.param("/", "/login", id="the first page"),
            pytest.param("/alerts", "/login?next=%2Falerts", id="another page"),
            pytest.param("/nothing", "/login?next=%2Fnothing", id="a page that is none, told to nobody"),
            pytest.param(
                "/explore?expr=up%7Bjob%3D%22a%22%7D&range=1h",
                "/login?next=%2Fexplore%3Fexpr%3Dup%257Bjob%253D%2522a%2522%257D%26range%3D1h",
                id="a page with parameters",
            ),
        ],
    )
    def test_people_are_led_to_the_login_and_back(self, site, url, login):
        response = site.get(url, key=None)

        assert response.status_code == 303
        assert response.headers["location"] == login

    @pytest.mark.parametrize(
        "url", ["/login", "/health", "/health/live", "/health/ready", "/-/healthy", "/-/ready", "/static/none.js"]
    )
    def test_what_everybody_may_ask(self, site, url):
        assert site.get(url, key=None).status_code in (200, 404)

    @pytest.mark.parametrize(
        "url",
        [
            "/static/../api/v1/query?query=up",
            "/static/%2e%2e/api/v1/query?query=up",
            "/static/../../routes.py",
            "/login/../alerts",
            "/login/",
            "//login",
            "/health/../alerts",
            "/LOGIN/alerts",
        ],
    )
    def test_detours_lead_nowhere(self, site, url):
        response = site.ask("GET", "http://trackside.example:9490" + url, key=None)

        assert response.status_code in (303, 401, 404, 307)
        assert site.backend.asked == []

    def test_the_name_in_the_request_does_not_open_a_path(self, site):
        for host in ("trackside.example/login?", "trackside.example/static/", "/login#", "a b", "[", ""):
            response = site.get("/api/v1/query?query=up", key=None, headers={"host": host})
            assert response.status_code == 401

    def test_a_page_that_refreshes_itself_learns_that_the_session_ended(self, site):
        response = site.get("/alerts", key=None, headers={"HX-Request": "true"})

        assert response.status_code == 401
        assert "location" not in response.headers

    def test_a_form_sent_after_the_session_ended_is_not_led_to_where_it_cannot_be_repeated(self, site):
        assert site.post("/alerts", key=None).status_code == 401

    def test_websockets_are_closed(self, site):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(site.app()({"type": "websocket", "path": "/", "headers": []}, None, send))

        assert sent == [{"type": "websocket.close", "code": 1008}]


class TestKeys:
    def test_a_bearer_key_opens(self, site):
        assert site.get("/api/v1/query?query=up").status_code == 200

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
    def test_the_scheme_is_written_in_any_way(self, site, scheme):
        headers = {"authorization": f"{scheme} {site.key}"}
        assert site.get("/api/v1/query?query=up", key=None, headers=headers).status_code == 200

    def test_a_key_opens_as_the_password_of_any_user(self, site):
        headers = {"authorization": basic("prometheus", site.key)}
        assert site.get("/metrics", key=None, headers=headers).text == "up 1\n"

    @pytest.mark.parametrize(
        "authorization",
        [
            pytest.param("Bearer", id="no key"),
            pytest.param("Bearer wrong", id="a wrong key"),
            pytest.param("Bearer " + "x" * 100_000, id="a huge key"),
            pytest.param("Basic", id="no user"),
            pytest.param("Basic !!!!", id="no base64"),
            pytest.param("Basic /////w==", id="no text"),
            pytest.param("Basic " + b64encode(b"no colon").decode(), id="no password"),
            pytest.param(basic("admin", "wrong"), id="a wrong password"),
        ],
    )
    def test_a_wrong_key_opens_nothing(self, site, authorization):
        response = site.get("/alerts", key=None, headers={"authorization": authorization})

        assert response.status_code == 401
        assert response.json()["error"] == "this is no key of this server"

    @pytest.mark.parametrize("authorization", ["", "Digest x", "Negotiate abc", "nonsense"])
    def test_another_scheme_is_no_key(self, site, authorization):
        response = site.get("/api/v1/query?query=up", key=None, headers={"authorization": authorization})

        assert response.json()["error"].startswith("a key is needed")

    def test_bytes_that_are_no_text_are_a_wrong_key(self, site):
        response = site.get("/alerts", key=None, headers={b"authorization": b"Bearer \xff\xfe\x80"})

        assert response.status_code == 401

    def test_a_revoked_key_opens_nothing_more(self, site, key_of):
        key = key_of(Role.VIEWER)
        assert site.get("/alerts", key=key).status_code == 200

        site.keys.revoke("viewer key")

        assert site.get("/alerts", key=key).status_code == 401

    def test_guessing_is_made_to_wait(self, site):
        answers = [site.get("/api/v1/query?query=up", key=f"wrong {n}").status_code for n in range(FREE_FAILURES + 1)]
        assert answers == [401] * FREE_FAILURES + [429]

        response = site.get("/api/v1/query?query=up", key="wrong")
        assert response.headers["retry-after"] == str(WINDOW_MS // 1_000)
        assert site.get("/api/v1/query?query=up", key="wrong", client="192.0.2.8").status_code == 401

        site.clock.time_ms += WINDOW_MS
        assert site.get("/api/v1/query?query=up").status_code == 200

    def test_guesses_at_the_door_and_at_the_login_count_together(self, site):
        for number in range(FREE_FAILURES):
            site.get("/alerts", key=f"wrong {number}")

        assert site.post("/login", key=None, data={"key": "wrong"}).status_code == 429

    def test_guesses_stop_neither_browsers_nor_open_paths(self, site, cookie_of):
        headers = cookie_of(Role.VIEWER)
        for number in range(FREE_FAILURES + 5):
            site.get("/alerts", key=f"wrong {number}")

        assert site.get("/alerts", key=None, headers=headers).status_code == 200
        assert site.get("/health", key="wrong").status_code == 200


class TestCookies:
    def test_a_session_opens(self, site, cookie_of):
        assert site.get("/api/v1/query?query=up", key=None, headers=cookie_of(Role.VIEWER)).status_code == 200

    @pytest.mark.parametrize("cookie", ["", "x", "1.2.3", "1." + "9" * 20 + "." + "0" * 64, "\x7f", '"quoted"'])
    def test_a_forged_one_does_not(self, site, cookie):
        headers = {"cookie": f"trackside_session={cookie}"}

        assert site.get("/alerts", key=None, headers=headers).status_code == 303

    def test_one_whose_key_was_revoked_does_not(self, site, cookie_of):
        headers = cookie_of(Role.VIEWER)
        assert site.get("/alerts", key=None, headers=headers).status_code == 200

        site.keys.revoke("viewer in a browser")

        assert site.get("/alerts", key=None, headers=headers).status_code == 303

    def test_a_key_says_more_clearly_who_is_meant(self, site, cookie_of, key_of):
        site.get("/alerts", key=key_of(Role.OPERATOR), headers=cookie_of(Role.VIEWER))

        assert site.facts["identity"].name == "operator key"

    def test_pages_learn_who_logged_in(self, site, cookie_of):
        site.get("/alerts", key=None, headers=cookie_of(Role.VIEWER))
        assert site.facts["user"] == "viewer in a browser"

        site.get("/alerts")
        assert site.facts["user"] is None


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "status"),
        [
            pytest.param(Role.VIEWER, 403, id="a viewer may not"),
            pytest.param(Role.OPERATOR, 200, id="an operator may"),
            pytest.param(Role.ADMIN, 200, id="an admin may"),
        ],
    )
    def test_who_may_reload(self, site, key_of, role, status):
        assert site.post("/-/reload", key=key_of(role)).status_code == status
        assert len(site.reloads) == (status == 200)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
    def test_a_viewer_changes_nothing(self, site, key_of, method):
        response = site.ask(method, "/alerts", key=key_of(Role.VIEWER))

        assert response.status_code == 403
        assert response.json()["error"] == "the key 'viewer key' may look, but not change anything"

    @pytest.mark.parametrize("name", ["query", "query_range", "series", "labels", "format_query", "parse_query"])
    def test_a_viewer_asks_by_post_too(self, site, key_of, name):
        data = {"query": "up", "start": "1", "end": "2", "step": "1", "match[]": "up"}

        assert site.post(f"/api/v1/{name}", key=key_of(Role.VIEWER), data=data).status_code == 200


class TestRequestsOfOtherSites:
    """A browser sends what it has for this server along with the requests that any site makes it send."""

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({"origin": "https://evil.example"}, id="another origin"),
            pytest.param({"origin": "null"}, id="a hidden origin"),
            pytest.param({"origin": "http://trackside.example"}, id="another port"),
            pytest.param({"origin": "http://["}, id="nonsense"),
            pytest.param({"referer": "https://evil.example/trackside.example:9490"}, id="another referrer"),
            pytest.param({"sec-fetch-site": "cross-site"}, id="said by the browser"),
            pytest.param({"sec-fetch-site": "same-site", **OWN}, id="of a sister site"),
        ],
    )
    @pytest.mark.parametrize("by", ["cookie", "remembered password", "no authentication"])
    def test_change_nothing(self, site, cookie_of, by, headers):
        site.no_auth = by == "no authentication"
        host = {"host": "localhost:9490"} if site.no_auth else {}
        mine = {
            "cookie": cookie_of(Role.ADMIN),
            "remembered password": {"authorization": basic("me", site.key)},
            "no authentication": {},
        }[by]

        response = site.post("/-/reload", key=None, headers={**mine, **headers, **host})

        assert response.status_code == 403
        assert response.json()["error"] == "this request did not come from a page of this server"
        assert site.reloads == []

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(OWN, id="its origin"),
            pytest.param({"referer": "http://trackside.example:9490/alerts"}, id="its referrer"),
            pytest.param({"sec-fetch-site": "same-origin"}, id="said by the browser"),
            pytest.param(
                {"sec-fetch-site": "same-origin", "origin": "https://a.proxy.example"}, id="behind a proxy that renames"
            ),
            pytest.param({"origin": "https://monitoring.example"}, id="the name people know it by"),
        ],
    )
    def test_its_own_pages_may(self, site, cookie_of, headers):
        response = site.post("/-/reload", key=None, headers={**cookie_of(Role.OPERATOR), **headers})

        assert response.status_code == 200
        assert site.reloads == ["once"]

    def test_a_cookie_without_any_sign_of_its_page_changes_nothing(self, site, cookie_of):
        assert site.post("/-/reload", key=None, headers=cookie_of(Role.ADMIN)).status_code == 403

    def test_other_programs_need_not_say_where_they_come_from(self, site):
        assert site.post("/-/reload").status_code == 200

    def test_they_may_read_no_more_than_the_browser_lets_them(self, site, cookie_of):
        response = site.get("/alerts", key=None, headers={**cookie_of(Role.VIEWER), "origin": "https://evil.example"})

        assert "access-control-allow-origin" not in response.headers
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


class TestWithoutAuthentication:
    @pytest.mark.parametrize("host", ["localhost", "localhost:9490", "127.0.0.1:9490", "127.3.2.1", "[::1]:9490"])
    def test_everybody_on_this_machine_may_do_everything(self, site, host):
        site.no_auth = True

        assert site.get("/alerts", key=None, headers={"host": host}).status_code == 200
        assert site.post("/-/reload", key=None, headers={"host": host}).status_code == 200
        assert site.facts["user"] is None

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9490",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@localhost",
            "localhost:9490/",
            "[::1].evil.example",
            "192.168.1.2:9490",
            "127.0.0.１",
            "",
        ],
    )
    def test_a_name_that_was_bent_to_this_machine_is_refused(self, site, host):
        site.no_auth = True

        for url in ("/alerts", "/", "/login", "/health", "/api/v1/query?query=up"):
            assert site.get(url, key=None, headers={b"host": host.encode()}).status_code == 403
        assert site.backend.asked == []


class TestWhatEveryAnswerSays:
    @pytest.mark.parametrize("url", ["/alerts", "/login", "/nothing", "/broken", "/api/v1/query?query=up", "/metrics"])
    def test_to_the_browser(self, site, url):
        headers = site.get(url).headers

        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("url", ["/alerts", "/api/v1/query"])
    def test_even_when_it_is_a_refusal(self, site, url):
        headers = site.get(url, key=None).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"

    def test_only_built_files_may_be_kept(self, site):
        def kept(path: str) -> bool:
            gate = Gate(PlainTextResponse("built"), Admission(site.keys, site.clock), "", no_auth=True)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost")
            return "cache-control" not in asyncio.run(client.get(path)).headers

        assert kept("/static/app-28f993edce.js")
        assert not kept("/alerts")
        assert site.get("/static/none.js").headers["cache-control"] == "no-store"

    def test_a_page_may_say_something_else(self, site):
        assert site.get("/alerts?cache-control=max-age%3D5").headers["cache-control"] == "max-age=5"


class TestWhereItComesFrom:
    @pytest.fixture(autouse=True)
    def office_only(self, site):
        site.admission.apply(AuthConfig(allow_from=["192.0.2.0/24"], trusted_proxies=["10.0.0.0/8"]), None)

    @pytest.mark.parametrize(
        ("client", "forwarded", "status"),
        [
            ("192.0.2.7", "", 200),
            ("203.0.113.9", "", 403),
            ("203.0.113.9", "192.0.2.7", 403),
            ("10.0.0.1", "192.0.2.7", 200),
            ("10.0.0.1", "203.0.113.9", 403),
            ("10.0.0.1", "192.0.2.7, 203.0.113.9", 403),
        ],
    )
    def test_only_listed_addresses_are_answered(self, site, client, forwarded, status):
        answer = site.get("/api/v1/query?query=up", client=client, headers={"x-forwarded-for": forwarded})
        assert answer.status_code == status

    def test_the_refusal_says_which_address_and_which_key_of_the_configuration(self, site):
        answer = site.get("/", client="203.0.113.9")
        assert answer.json()["error"] == "203.0.113.9 is not among the addresses that may ask: auth.allow_from"

    def test_the_login_is_closed_to_them_and_health_is_not(self, site):
        assert site.get("/login", key=None, client="203.0.113.9").status_code == 403
        assert site.get("/health/ready", key=None, client="203.0.113.9").status_code == 200


class TestTokensOfAProvider:
    SECRET = "s" * 40

    @pytest.fixture(autouse=True)
    def provider(self, site):
        config = JwtConfig(secret=self.SECRET, roles={"staff": "viewer"})
        site.admission.apply(AuthConfig(jwt=config), Tokens(config, None, site.clock))

    def token(self, site, role="staff", lasts_s=600):
        claims = {"sub": "anna", "exp": site.clock.now_ms() // 1000 + lasts_s, "app_metadata": {"role": role}}
        return jwt.encode(claims, self.SECRET, "HS256")

    def test_a_token_opens_the_api_and_no_more_than_its_role_allows(self, site):
        assert site.get("/api/v1/query?query=up", key=self.token(site)).status_code == 200
        refused = site.post("/-/reload", key=self.token(site))
        assert refused.status_code == 403
        assert "'anna' may look" in refused.json()["error"]

    def test_a_token_for_nothing_is_refused(self, site):
        assert site.get("/api/v1/query?query=up", key=self.token(site, role="guest")).status_code == 401

    def test_who_logs_in_with_one_stays_until_it_ends(self, site):
        entered = site.post("/login", key=None, data={"key": self.token(site), "next": "/alerts"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/alerts")
        cookie = entered.headers["set-cookie"].partition(";")[0]

        page = {"headers": {"cookie": cookie}, "key": None}
        assert site.get("/api/v1/query?query=up", **page).status_code == 200
        site.clock.time_ms += 700_000
        assert site.get("/api/v1/query?query=up", **page).status_code == 401

    def test_a_session_of_a_token_writes_from_our_own_pages_only(self, site):
        cookie = f"trackside_token={self.token(site)}"
        refused = site.post("/-/reload", key=None, headers={"cookie": cookie, "origin": "https://evil.example"})
        assert refused.status_code == 403
        assert "did not come from a page of this server" in refused.json()["error"]


class TestWhatIsOpenToEverybody:
    """The status page where it is published, and the addresses at which jobs tell that they live."""

    @pytest.fixture
    def door(self, site):
        site.admission.apply(AuthConfig(allow_from=("192.0.2.0/24",)), None)
        return Gate(
            PlainTextResponse("in"), site.admission, "", no_auth=False, published=lambda path: path == "/status"
        )

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/status", 200),
            ("GET", "/status/other", 403),
            ("GET", "/ping/key", 200),
            ("POST", "/ping/key/fail", 200),
            ("GET", "/pingpong", 403),
            ("GET", "/", 403),
        ],
    )
    def test_from_anywhere_without_a_key(self, door, method, path, status):
        async def asked():
            transport = httpx.ASGITransport(door, client=("203.0.113.9", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.request(method, path)

        assert asyncio.run(asked()).status_code == status
