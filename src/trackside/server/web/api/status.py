"""`/api/v1/targets`, `metadata`, `status/…`: what the server knows about itself."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.model.durations import format_duration
from trackside.model.targets import TargetStatus
from trackside.server.web.api.answers import answering, success
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.api.times import rfc3339
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of


@dataclass(frozen=True, slots=True)
class StatusApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/targets", answering(self.targets)),
            Route("/api/v1/metadata", answering(self.metadata)),
            Route("/api/v1/status/buildinfo", answering(self.build)),
            Route("/api/v1/status/runtimeinfo", answering(self.runtime)),
            Route("/api/v1/status/config", answering(self.config)),
            Route("/api/v1/status/flags", answering(self.flags)),
        ]

    async def targets(self, request: Request) -> Response:
        given = await self._parameters(request)
        state, pool = given.choice("state", "any", "active", "dropped"), given.form.get("scrapePool")
        targets = self.console.targets() if state != "dropped" else ()
        active = [_target(target) for target in targets if pool in (None, "", target.scrape_pool)]
        return success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})

    async def metadata(self, request: Request) -> Response:
        given = await self._parameters(request)
        wanted, limit = given.form.get("metric"), given.limit()
        each = given.limit("limit_per_metric") or None
        metadata = self.console.metadata()
        names = [name for name in sorted(metadata) if wanted in (None, "", name)]
        return success({name: _entries(metadata[name])[:each] for name in names[: limit or None]})

    async def build(self, request: Request) -> Response:
        return success(
            {
                "version": self.console.version,
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
                "application": "trackside",
                "pythonVersion": platform.python_version(),
            }
        )

    async def runtime(self, request: Request) -> Response:
        return success({"startTime": rfc3339(self.console.started_ms), "serverTime": rfc3339(self._now_ms())})

    async def config(self, request: Request) -> Response:
        return success({"yaml": self.console.config_text()})

    async def flags(self, request: Request) -> Response:
        return success({"web.external-url": self.console.external_url})

    async def _parameters(self, request: Request) -> Parameters:
        return Parameters(await form_of(request), self._now_ms())

    def _now_ms(self) -> int:
        return self.console.clock.now_ms()


def _target(target: TargetStatus) -> dict[str, object]:
    return {
        "discoveredLabels": target.discovered_labels.as_dict(),
        "labels": target.labels.as_dict(),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.scrape_url,
        "lastError": target.last_error,
        "lastScrape": rfc3339(target.last_scrape_ms),
        "lastScrapeDuration": target.last_scrape_s,
        "health": target.health.value,
        "scrapeInterval": format_duration(target.interval_ms),
        "scrapeTimeout": format_duration(target.timeout_ms),
    }


def _entries(metadata: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"type": kind, "help": text, "unit": unit} for kind, text, unit in sorted(metadata)]
