"""The pages as routes, for whoever composes the server."""

from __future__ import annotations

from functools import partial

from starlette.routing import BaseRoute, Route

from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages import alerts_page, explore_page, overview_page, targets_page


def page_routes(console: Console) -> list[BaseRoute]:
    return [
        Route("/", partial(overview_page.show, console), name="overview"),
        Route("/explore", partial(explore_page.show, console), name="explore"),
        Route("/alerts", partial(alerts_page.show, console), name="alerts"),
        Route("/targets", partial(targets_page.show, console), name="targets"),
        render.static_mount(),
    ]
