"""The pages about alerts and silences as routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.web.console import Console
from trackside.server.web.pages.alerts import alert_page, alerts_page, runbooks_page
from trackside.server.web.pages.alerts.backtest_page import BacktestPage
from trackside.server.web.pages.alerts.notifications_page import NotificationPages
from trackside.server.web.pages.alerts.places import NOTIFICATIONS, RULES
from trackside.server.web.pages.alerts.rules_page import RulesPage
from trackside.server.web.pages.silences.silences_page import SilencePages


def alert_routes(console: Console) -> list[BaseRoute]:
    notifications, silences = NotificationPages(console), SilencePages(console)
    return [
        Route("/alerts", partial(alerts_page.show, console), name="alerts"),
        Route("/alerts/rules", RulesPage(console).show, name="rules"),
        Route("/alerts/rules/backtest", BacktestPage(console).run, methods=["POST"]),
        # What a reload of the result, or a bookmark of it, asks for.
        Route("/alerts/rules/backtest", _to(RULES)),
        Route("/alerts/notifications", notifications.show, name="notifications"),
        Route("/alerts/notifications/test", notifications.test, methods=["POST"]),
        Route("/alerts/notifications/test", _to(NOTIFICATIONS)),
        Route("/alerts/runbooks", partial(runbooks_page.show, console), name="runbooks"),
        Route("/alerts/runbooks/{name:path}", partial(runbooks_page.show_one, console), name="runbook"),
        Route("/alerts/{fingerprint}", partial(alert_page.show, console), name="alert"),
        Route("/silences", silences.show, name="silences", methods=["GET"]),
        Route("/silences", silences.put, methods=["POST"]),
        Route("/silences/new", silences.new, name="new_silence"),
        Route("/silences/{id}", silences.edit, name="silence"),
        Route("/silences/{id}/expire", silences.expire, methods=["POST"]),
    ]


def _to(path: str) -> Callable[[Request], Awaitable[Response]]:
    async def lead(request: Request) -> Response:
        return RedirectResponse(path, 303)

    return lead
