"""The pages as routes, for whoever composes the server."""

from __future__ import annotations

from functools import partial

from starlette.routing import BaseRoute, Route

from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages import explore_page, overview_page, targets_page
from trackside.server.web.pages.alerts.routes import alert_routes
from trackside.server.web.pages.jobs import audit_page, job_page, jobs_page
from trackside.server.web.pages.uptime import check_page, heartbeat_page, uptime_page


def page_routes(console: Console) -> list[BaseRoute]:
    return [
        Route("/", partial(overview_page.show, console), name="overview"),
        Route("/explore", partial(explore_page.show, console), name="explore"),
        Route("/jobs", jobs_page.page_of(console), name="jobs"),
        Route("/jobs/audit", audit_page.page_of(console), name="job_audit"),
        Route("/jobs/{source}/{id:path}", job_page.page_of(console), name="job"),
        Route("/admin/dashboard", jobs_page.page_of(console), name="admin_dashboard"),
        Route("/admin/rq", jobs_page.page_of(console, "rq"), name="admin_rq"),
        *alert_routes(console),
        Route("/uptime", partial(uptime_page.show, console), name="uptime"),
        Route("/uptime/checks/{name:path}", partial(check_page.show, console), name="check"),
        Route("/uptime/heartbeats/{name:path}", partial(heartbeat_page.show, console), name="heartbeat"),
        Route("/targets", partial(targets_page.show, console), name="targets"),
        render.static_mount(),
    ]
