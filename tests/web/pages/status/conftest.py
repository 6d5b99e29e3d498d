"""A status page in trouble: one system down, one in maintenance, ninety days behind it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from trackside.server.access.roles import Identity, Role
from trackside.server.status.config import StatusPageConfig
from trackside.server.status.model import DAY_MS, Incident, IncidentState, Minutes, State, Update
from trackside.server.status.store import Audit, Kept
from trackside.server.status.viewing import view_of
from trackside.server.web import render
from trackside.server.web.pages.all import page_routes
from trackside.server.web.status.incidents_page import IncidentPages
from trackside.server.web.status.routes import StatusFiles, StatusRoutes

NOW_MS = 1_764_079_335_000
TODAY = NOW_MS // DAY_MS
HOUR = 3_600_000
LOGO = b"<svg xmlns='http://www.w3.org/2000/svg' width='120' height='36'><rect width='120' height='36'/></svg>"

CONFIG = StatusPageConfig.model_validate(
    {
        "published": True,
        "title": "Rail Gun",
        "description": "How the services of Rail Gun do, now and over the last ninety days.",
        "site": "https://www.example.com",
        "components": [
            {"name": "API", "check": "a", "group": "Core", "description": "What your programs ask"},
            {"name": "WebSocket", "check": "b", "group": "Core"},
            {"name": "Web application", "check": "c"},
            {"name": "Voice", "check": "d", "description": "Beta"},
        ],
    }
)


def days(seed):
    found = {TODAY - back: Minutes(up=1440) for back in range(70)}
    found[TODAY - 12] = Minutes(up=1300, down=140)
    found[TODAY - 30] = Minutes(up=1438, down=2)
    found[TODAY - 31] = Minutes(up=1200, maintenance=240)
    found[TODAY] = Minutes(up=700 + seed, down=12)
    return found


def updates(*rows):
    return tuple(Update(NOW_MS - ago, IncidentState(state), text, author) for ago, state, text, author in rows)


INCIDENTS = (
    Incident(
        3,
        "WebSocket connections are refused",
        "major",
        ("WebSocket",),
        NOW_MS - HOUR,
        None,
        updates(
            (HOUR, "investigating", "We are looking into it.", ""),
            (HOUR // 2, "identified", "A load balancer lost its configuration.\nWe bring it back.", "alice"),
        ),
        "CheckDown",
    ),
    Incident(
        4,
        "New database",
        "maintenance",
        ("API", "Voice"),
        NOW_MS + 30 * HOUR,
        NOW_MS + 32 * HOUR,
        updates((2 * HOUR, "scheduled", "Short interruptions are possible.", "bob")),
    ),
    Incident(
        1,
        "Slow pages",
        "minor",
        ("Web application",),
        NOW_MS - 12 * DAY_MS,
        NOW_MS - 12 * DAY_MS + 2 * HOUR,
        updates((12 * DAY_MS, "investigating", "We look.", "bob"), (11 * DAY_MS, "resolved", "Mended.", "bob")),
    ),
)
KEPT = Kept(
    {
        "API": (State.UP, NOW_MS),
        "WebSocket": (State.DOWN, NOW_MS),
        "Web application": (State.DEGRADED, NOW_MS),
        "Voice": (State.MAINTENANCE, NOW_MS),
    },
    {"API": days(1), "WebSocket": days(2), "Web application": days(3)},
    INCIDENTS,
)


class FakeBook:
    def __init__(self):
        self.config, self.version = CONFIG, 1
        self.view = view_of(CONFIG, KEPT, NOW_MS, has_logo=True)

    def incidents(self):
        return INCIDENTS

    def audits(self, count):
        return [Audit(NOW_MS, "alice", "said identified", 3), Audit(NOW_MS - HOUR, "", "opened by CheckDown", 3)][
            :count
        ]


class Known:
    """The gate's word on who asks."""

    def __init__(self, app, role):
        self.app, self.role = app, role

    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["identity"] = Identity(1, "alice", self.role, by_cookie=False)
        await self.app(scope, receive, send)


@pytest.fixture
def status_app(make_console):
    """The application for somebody of a role."""

    def made(role=Role.OPERATOR, **changes):
        book = FakeBook()
        book.view = replace(book.view, **changes)
        public = StatusRoutes(StatusFiles(book, "http://trackside"), book, lambda: (LOGO, "image/svg+xml"))
        console = make_console()
        routes = [
            *public.routes(),
            *IncidentPages(console, book).routes(),
            *page_routes(console),
            render.static_mount(),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Known, role=role)])

    return made


@pytest.fixture
def book():
    return FakeBook()


@pytest.fixture
def facts():
    return SimpleNamespace(NOW_MS=NOW_MS, CONFIG=CONFIG, KEPT=KEPT)
