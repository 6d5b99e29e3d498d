"""What answers programs, as routes."""

from __future__ import annotations

from starlette.routing import BaseRoute

from trackside.server.web.api.admin import AdminApi
from trackside.server.web.api.alertmanager import AlertmanagerApi, AlertmanagerV1
from trackside.server.web.api.backtest import BacktestApi
from trackside.server.web.api.job_actions import JobActionsApi
from trackside.server.web.api.job_reports import JobReportsApi
from trackside.server.web.api.jobs import JobsApi
from trackside.server.web.api.lint import LintApi
from trackside.server.web.api.queries import QueryApi
from trackside.server.web.api.remote_write import RemoteWriteApi
from trackside.server.web.api.rules import RulesApi
from trackside.server.web.api.runbooks import RunbooksApi
from trackside.server.web.api.status import StatusApi
from trackside.server.web.console import Console


def api_routes(console: Console) -> list[BaseRoute]:
    return [
        # Before Prometheus' API: one that has the same address is gone where an Alertmanager is asked.
        *(AlertmanagerV1().routes() if console.stands_for_alertmanager else ()),
        *AlertmanagerApi(console, console.stands_for_alertmanager).routes(),
        *QueryApi(console).routes(),
        *RulesApi(console).routes(),
        *LintApi(console).routes(),
        *BacktestApi(console).routes(),
        *RunbooksApi(console).routes(),
        *StatusApi(console).routes(),
        *JobReportsApi(console).routes(),
        *JobActionsApi(console).routes(),
        *JobsApi(console).routes(),
        *AdminApi(console).routes(),
        *(RemoteWriteApi(console.writes).routes() if console.writes is not None else ()),
    ]
