"""`/api/v2`: the Alertmanager API, such that `amtool`, Prometheus and Grafana take us for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import LimitError, StorageError
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.alerting.silences.silence import Refused, SilenceError
from trackside.server.web.api.alertmanager_input import InputError, is_uuid, json_of, pushes_of, silence_of
from trackside.server.web.api.alertmanager_json import alert_json, group_json, receiver_json, silence_json
from trackside.server.web.api.alertmanager_query import AlertQuery, matchers_of, receivers_of
from trackside.server.web.api.answers import as_json
from trackside.server.web.api.times import rfc3339
from trackside.server.web.console import Console
from trackside.version import __version__

PREFIX = "/api/v2"
_Handler = Callable[[Request, Dispatcher], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AlertmanagerApi:
    console: Console
    is_open: bool = False
    """Whether pages of other sites may read it, as Alertmanager lets them. Without authentication that gives whatever
    site somebody looks at all alerts, so only who runs us as an Alertmanager gets it."""

    def routes(self) -> list[BaseRoute]:
        known: list[tuple[str, str, _Handler]] = [
            ("/alerts", "GET", self.alerts),
            ("/alerts", "POST", self.push),
            ("/alerts/groups", "GET", self.groups),
            ("/receivers", "GET", self.receivers),
            ("/silence/{silence_id}", "GET", self.silence),
            ("/silence/{silence_id}", "DELETE", self.expire),
            ("/silences", "GET", self.silences),
            ("/silences", "POST", self.put),
            ("/status", "GET", self.status),
        ]
        routes = [Route(PREFIX + path, self._answering(handler), methods=[method]) for path, method, handler in known]
        return [
            *routes,
            Route(PREFIX + "/{path:path}", self._other, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
        ]

    async def alerts(self, request: Request, alerting: Dispatcher) -> Response:
        query = AlertQuery.of(request.query_params, alerting.routing, alerting.options.syntax)
        views = alerting.views.alerts(self._now_ms)
        found = [alert_json(view) for view in views if query.takes_receiver_of(view) and query.takes(view)]
        return as_json(sorted(found, key=lambda alert: str(alert["fingerprint"])))

    async def groups(self, request: Request, alerting: Dispatcher) -> Response:
        query = AlertQuery.of(request.query_params, alerting.routing, alerting.options.syntax)
        found = []
        for group in alerting.views.groups(self._now_ms):
            if group.receiver not in query.receivers or (group.muted_by and not query.muted):
                continue
            alerts = [view for view in group.alerts if query.takes(view)]
            if alerts:
                found.append(group_json(group, alerts))
        return as_json(found)

    async def push(self, request: Request, alerting: Dispatcher) -> Response:
        pushes, refused = pushes_of(await json_of(request), alerting.options.syntax)
        for _ in refused:
            alerting.metrics.received_invalid()
        refused += await alerting.push(pushes, self._now_ms)
        return as_json("; ".join(refused), 400) if refused else Response(status_code=200)

    async def receivers(self, request: Request, alerting: Dispatcher) -> Response:
        found = receivers_of(request.query_params, alerting.routing, alerting.options.syntax)
        return as_json([receiver_json(name, labels) for name, labels in found.items()])

    async def silences(self, request: Request, alerting: Dispatcher) -> Response:
        wanted = matchers_of(request.query_params, "filter", alerting.options.syntax)
        now_ms = self._now_ms
        found = [one for one in alerting.silences.all(now_ms) if one.is_about(wanted)]
        return as_json([silence_json(one, now_ms) for one in found])

    async def put(self, request: Request, alerting: Dispatcher) -> Response:
        draft = silence_of(await json_of(request))
        made = await alerting.silences.put(draft, self._now_ms)
        return as_json({"silenceID": made.silence_id})

    async def silence(self, request: Request, alerting: Dispatcher) -> Response:
        found = alerting.silences.get(_silence_id(request))
        return Response(status_code=404) if found is None else as_json(silence_json(found, self._now_ms))

    async def expire(self, request: Request, alerting: Dispatcher) -> Response:
        await alerting.silences.expire(_silence_id(request), self._now_ms)
        return Response(status_code=200)

    async def status(self, request: Request, alerting: Dispatcher) -> Response:
        return as_json(
            {
                "cluster": {"name": "", "peers": [], "status": "disabled"},
                "config": {"original": alerting.routing.original},
                "uptime": rfc3339(self.console.started_ms),
                "versionInfo": {
                    "branch": "trackside",
                    "buildDate": "",
                    "buildUser": "",
                    "goVersion": "",
                    "revision": "",
                    "version": __version__,
                },
            }
        )

    @property
    def _now_ms(self) -> int:
        return self.console.clock.now_ms()

    def _answering(self, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return self._with_headers(request, await self._answer(request, handler))

        return answer

    async def _answer(self, request: Request, handler: _Handler) -> Response:
        alerting = self.console.alerting()
        if alerting is None:
            return as_json("the server is starting", 503)
        try:
            return await handler(request, alerting)
        except InputError as error:
            if error.status == 422:
                return as_json({"code": 602, "message": str(error)}, 422)
            return as_json(str(error), error.status)
        except LimitError as error:
            return as_json(str(error), 413)
        except SilenceError as error:
            return Response(status_code=404) if error.refused is Refused.UNKNOWN else as_json(str(error), 400)
        except StorageError as error:
            return as_json(str(error), 500)

    async def _other(self, request: Request) -> Response:
        """What a browser asks before it asks, and what there is not."""
        if request.method == "OPTIONS":
            return self._with_headers(request, Response(status_code=200))
        answer = {"code": 404, "message": f"path {request.url.path} was not found"}
        return self._with_headers(request, as_json(answer, 404))

    def _with_headers(self, request: Request, response: Response) -> Response:
        added = [("Cache-Control", "no-store")]
        if self.is_open and "origin" in request.headers:
            added += [
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin"),
                ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
                ("Access-Control-Expose-Headers", "Date"),
            ]
        response.raw_headers += [(_AsWritten(name.encode()), value.encode()) for name, value in added]
        return response


class _AsWritten(bytes):
    """The name of a header that keeps its capitals, as Alertmanager writes it: some clients look it up letter by
    letter, and uvicorn makes all names small."""

    def lower(self) -> bytes:
        return self


class AlertmanagerV1:
    """The API before this one, which Alertmanager answers so since 0.27."""

    def routes(self) -> list[BaseRoute]:
        methods = ["GET", "POST", "DELETE"]
        return [Route(f"/api/v1/{path}", self.gone, methods=methods) for path in ("alerts", "silences", "status")]

    async def gone(self, request: Request) -> Response:
        reason = "The Alertmanager v1 API is deprecated, and gone from Alertmanager since 0.27: use /api/v2"
        return as_json({"status": "deprecated", "error": reason}, 410)


def _silence_id(request: Request) -> str:
    text = str(request.path_params["silence_id"])
    if not is_uuid(text):
        raise InputError(f"silenceID in path must be of type uuid: {text[:80]!r}", 422)
    return text.lower()
