"""`/charts/<id>.png`: for everybody who has the address, and for nobody else."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from trackside.server.access.admission import Admission
from trackside.server.access.keys import Keys
from trackside.server.charts.gallery import Gallery
from trackside.server.charts.names import LIFETIME_MS
from trackside.server.db.database import Database
from trackside.server.web import charts
from trackside.server.web.charts import ChartRoutes
from trackside.server.web.routes import build_app

URL = "https://monitor.example"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 2_000


class Clock:
    ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms

    def monotonic_s(self):
        return self.ms / 1_000


@pytest.fixture
def world(tmp_path):
    clock, database = Clock(), Database(tmp_path / "t.db")
    gallery = Gallery(database, URL, clock.now_ms)
    routes = ChartRoutes(gallery, clock.now_ms)
    keys = Keys(database, tmp_path, clock)
    console = SimpleNamespace(external_url=URL, stands_for_alertmanager=False, writes=None)
    app = build_app(console, Admission(keys, clock), routes.routes, None, published=routes.published)
    address = asyncio.run(gallery.hang("team/1", PNG))

    async def asked(url, **headers):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(url, headers={name.replace("_", "-"): text for name, text in headers.items()})

    yield SimpleNamespace(clock=clock, address=address, ask=lambda url, **headers: asyncio.run(asked(url, **headers)))
    database.close()


def test_it_is_shown_without_logging_in(world):
    answer = world.ask(world.address)
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=86400"
    # Chats of one's own show it in their pages; what it is shown in runs nothing.
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "default-src" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


def test_who_has_it_is_told_so(world):
    etag = world.ask(world.address).headers["etag"]
    again = world.ask(world.address, if_none_match=etag)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url: url.replace(".png", "A.png"), id="longer"),
        pytest.param(lambda url: url[:-8] + ("AAAA" if url[-8:-4] != "AAAA" else "BBBB") + ".png", id="forged"),
        pytest.param(lambda url: f"{URL}/charts/{'A' * 50}.png", id="made up"),
        pytest.param(lambda url: f"{URL}/charts/%00%ff.png", id="odd"),
        pytest.param(lambda url: f"{URL}/charts/..%2f..%2fetc%2fpasswd.png", id="a path"),
        pytest.param(lambda url: f"{URL}/charts/{'x' * 20_000}.png", id="very long"),
        pytest.param(lambda url: f"{URL}/charts/.png", id="nothing"),
        pytest.param(lambda url: f"{URL}/charts/", id="the folder"),
        pytest.param(lambda url: url.removesuffix(".png"), id="without its ending"),
    ],
)
def test_what_was_not_signed_is_not_there(world, change):
    answer = world.ask(change(world.address))
    assert answer.status_code == 404
    assert PNG not in answer.content


def test_it_is_not_there_any_more_after_two_weeks(world):
    world.clock.ms += LIFETIME_MS
    assert world.ask(world.address).status_code == 404


def test_only_so_many_are_shown_and_forged_ones_do_not_count(world, monkeypatch):
    monkeypatch.setattr(charts, "MOST_IN_WINDOW", 3)
    for _ in range(5):
        assert world.ask(f"{URL}/charts/{'A' * 50}.png").status_code == 404
    assert [world.ask(world.address).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert world.ask(world.address).headers["retry-after"] == "11"
    world.clock.ms += 10_000
    assert world.ask(world.address).status_code == 200
    # A clock that is set back makes nobody wait.
    world.clock.ms -= 3_600_000
    assert world.ask(world.address).status_code == 200


def test_nothing_else_is_open(world):
    for path in ("/chartsX", "/api/v1/query?query=up", "/alerts"):
        assert world.ask(f"{URL}{path}").status_code in (303, 401)
