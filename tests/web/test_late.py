"""Routes that are loaded when they are asked for."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Match, Mount, Route

from trackside.server.access.admission import Admission
from trackside.server.clock import SystemClock
from trackside.server.web.api.all import api_routes
from trackside.server.web.api.job_actions import JobActionsApi
from trackside.server.web.console import Console
from trackside.server.web.late import LateRoutes
from trackside.server.web.login import LoginPages
from trackside.server.web.pages.all import page_routes


async def answer(request):
    return PlainTextResponse(request.url.path)


class Site:
    """An application of which `/early` is there, and the rest is late. `loads`: how often that was loaded."""

    def __init__(self):
        self.loads = 0
        self.broken = False
        self.app = Starlette(routes=[Route("/early", answer), Route("/both/{name}", answer, methods=["POST"])])
        LateRoutes(self.app.router, self.late)

    def late(self):
        self.loads += 1
        if self.broken:
            raise ImportError("half of the package was exchanged")
        return [Route("/", answer, name="overview"), Route("/page", answer)]

    def get(self, *paths, method="GET"):
        """Status of each, all asked at once."""

        async def asked():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://site") as http:
                found = await asyncio.gather(*(http.request(method, path) for path in paths))
                return [one.status_code for one in found]

        return asyncio.run(asked())


@pytest.fixture
def site():
    return Site()


@pytest.mark.parametrize(
    ("path", "status", "loads"),
    [
        pytest.param("/early", 200, 0, id="what is there"),
        pytest.param("/page", 200, 1, id="what is late"),
        pytest.param("/nothing", 404, 1, id="what nobody has"),
        pytest.param("/both/x", 405, 0, id="another method than that of the route"),
        pytest.param("/page/", 307, 1, id="a slash too many"),
    ],
)
def test_what_is_late_is_loaded_when_it_is_needed(site, path, status, loads):
    assert site.get(path) == [status]
    assert site.loads == loads


def test_it_is_loaded_once(site):
    assert site.get("/page", "/early", "/", "/nothing", "/page") == [200, 200, 200, 404, 200]
    assert site.get("/page", "/nothing") == [200, 404]
    assert site.loads == 1


def test_what_could_not_be_loaded_is_tried_again(site):
    site.broken = True
    assert site.get("/page", "/early") == [500, 200]
    site.broken = False
    assert site.get("/page", "/early") == [200, 200]
    assert site.loads == 2


def test_errors_are_answered_in_the_way_of_the_application(site):
    async def told(request, error):
        return PlainTextResponse("not here", 410)

    site.app.add_exception_handler(HTTPException, told)

    assert site.get("/nothing", "/both/x") == [410, 410]


def test_a_route_is_known_by_its_name_once_it_is_there(site):
    site.get("/page")

    assert site.app.router.url_path_for("overview") == "/"


def test_no_address_is_divided_between_programs_and_people():
    clock = SystemClock()
    console = Console(None, clock, tuple, tuple, lambda newest: (), 0, "0", "http://trackside", str)
    early = api_routes(console)
    admission = Admission(None, clock)
    late = [*LoginPages(admission).routes(), *JobActionsApi(console).pages(), *page_routes(console)]

    def is_taken(path: str, method: str) -> bool:
        scope = {"type": "http", "path": path, "method": method, "headers": []}
        # A route for another method would answer that this one is not allowed.
        return any(route.matches(scope)[0] is not Match.NONE for route in early)

    example = [(route.path_format.replace("{", "").replace("}", ""), route) for route in late]
    methods = [(path, method) for path, route in example if not isinstance(route, Mount) for method in route.methods]
    assert [(path, method) for path, method in methods if is_taken(path, method)] == []
