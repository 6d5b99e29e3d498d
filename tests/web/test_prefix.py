"""Everything under a path."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from trackside.server.web.prefix import under, with_links_under


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.scope["path"] + " " + request.scope["raw_path"].decode())


APP = Starlette(routes=[Route("/", echo), Route("/-/ready", echo), Route("/a b", echo)])


def ask(prefix: str, path: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(under(prefix, APP))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get(path)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/m/", "/ /"), ("/m/-/ready", "/-/ready /-/ready"), ("/m/a%20b?q=1", "/a b /a%20b")],
)
def test_the_application_does_not_see_it(path, seen):
    assert ask("/m", path).text == seen


@pytest.mark.parametrize("path", ["/", "/m"])
def test_who_forgets_it_is_led_there(path):
    answer = ask("/m", path)
    assert (answer.status_code, answer.headers["location"]) == (302, "/m/")


@pytest.mark.parametrize("path", ["/-/ready", "/mm/", "/other"])
def test_elsewhere_there_is_nothing(path):
    assert ask("/m", path).status_code == 404


def test_without_one_the_application_is_as_it_is():
    assert under("", APP) is APP


PAGE = """<a href="/alerts?a=1">x</a>
<form action="/silences"><button formaction="/silences/new"></button></form>
<script src="/static/app.js"></script><div data-refresh-url="/alerts" data-icon="/static/i.svg"></div>
<a href="https://example.com/">out</a> <a href="//example.com/">out</a> <a href="#here">here</a> <a href="a">beside</a>
<input name="back" value="/alerts"> <p>&#34; href=&#34;/text&#34;</p>"""
LINKED = """<a href="/m/alerts?a=1">x</a>
<form action="/m/silences"><button formaction="/m/silences/new"></button></form>
<script src="/m/static/app.js"></script><div data-refresh-url="/m/alerts" data-icon="/m/static/i.svg"></div>
<a href="https://example.com/">out</a> <a href="//example.com/">out</a> <a href="#here">here</a> <a href="a">beside</a>
<input name="back" value="/alerts"> <p>&#34; href=&#34;/text&#34;</p>"""


def answer_of(response: Response, path: str = "/page", prefix: str = "/m") -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(with_links_under(prefix, response))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get(path)

    return asyncio.run(asked())


def test_links_of_a_page_lead_under_the_prefix_and_others_stay():
    answer = answer_of(HTMLResponse(PAGE))

    assert answer.text == LINKED
    assert int(answer.headers["content-length"]) == len(LINKED)


def test_a_page_that_comes_in_parts_is_read_as_a_whole():
    parts = iter((b"<a hre", b'f="/al', b'erts">'))

    assert answer_of(StreamingResponse(parts, media_type="text/html")).text == '<a href="/m/alerts">'


def test_what_is_no_page_stays_as_it_is():
    assert answer_of(PlainTextResponse(PAGE)).text == PAGE


@pytest.mark.parametrize("path", ["/status", "/status/feed.atom"])
def test_the_public_page_knows_its_place_itself(path):
    assert answer_of(HTMLResponse(PAGE), path).text == PAGE


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login?next=%2Falerts", "/m/login?next=%2Falerts"),
        ("https://example.com/", "https://example.com/"),
        ("//example.com/", "//example.com/"),
        ("relative", "relative"),
    ],
)
def test_redirects_lead_under_the_prefix(location, expected):
    assert answer_of(RedirectResponse(location)).headers["location"] == expected


def test_cookies_are_for_this_server_only():
    response = PlainTextResponse("")
    response.set_cookie("one", "a; path=/", httponly=True)
    response.set_cookie("two", "b", path="/deep")
    one, two = answer_of(response).headers.get_list("set-cookie")

    assert "; Path=/m/; " in one
    assert "; Path=/deep; " in two


def test_a_prefix_from_a_configuration_breaks_out_of_nothing():
    answer = answer_of(HTMLResponse('<a href="/x">'), prefix='/"><script>')

    assert answer.text == '<a href="/&#34;&gt;&lt;script&gt;/x">'


def test_without_a_prefix_links_are_not_looked_at():
    assert with_links_under("", APP) is APP
