"""Everything under a path."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from trackside.server.web.prefix import under


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
