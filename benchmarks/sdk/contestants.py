"""The apps whose requests are timed: the same routes, bare or with one monitoring each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from tempfile import mkdtemp
from typing import Any

from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.request_metrics import RequestMetrics

App = Callable[..., Awaitable[None]]
BARE = "bare"
BARE_AGAIN = "bare again (the error)"
TRACKSIDE = "trackside"
TRACKSIDE_SHARED = "trackside, one of several workers"
INSTRUMENTATOR = "prometheus-fastapi-instrumentator"
TELEMETRY = "FastAPI's own telemetry"
_OUR_PATHS = ("/metrics", "/metrics-custom", "/health", "/health/live", "/health/ready")


@dataclass(frozen=True, slots=True)
class Contestant:
    app: App
    counted: Callable[[], float] | None = None
    """How many requests it recorded: who drops requests is fast."""


def null_contestant(name: str) -> Contestant | None:
    """Around an app that only answers, and leaves in the scope what a router leaves there: the middleware alone."""
    if name == INSTRUMENTATOR:
        from prometheus_client import CollectorRegistry
        from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware

        theirs = CollectorRegistry()
        app = _null_app(lambda app: PrometheusInstrumentatorMiddleware(app, registry=theirs))
        return Contestant(app, lambda: _instrumentator_count(theirs))
    if name in (TRACKSIDE, TRACKSIDE_SHARED):
        ours = Registry()
        if name == TRACKSIDE_SHARED:
            share(ours, "bench", where=mkdtemp())
        metrics = RequestMetrics(ours)
        app = _null_app(lambda app: AsgiMiddleware(app, metrics, _no_answer, _OUR_PATHS))
        return Contestant(app, lambda: _our_count(ours))
    return Contestant(_null_app(lambda app: app)) if name in (BARE, BARE_AGAIN) else None


def fastapi_contestant(name: str, routes: int) -> Contestant | None:
    """None when it is not installed."""
    if name == TELEMETRY:
        return _telemetry(routes)
    app = _fastapi_app(routes)
    if name == INSTRUMENTATOR:
        from prometheus_client import CollectorRegistry
        from prometheus_fastapi_instrumentator import Instrumentator

        theirs = CollectorRegistry()
        Instrumentator(registry=theirs).instrument(app)
        return Contestant(app, lambda: _instrumentator_count(theirs))
    if name == TRACKSIDE:
        ours = Registry()
        app.add_middleware(AsgiMiddleware, metrics=RequestMetrics(ours), answer=_no_answer, answered_paths=_OUR_PATHS)
        return Contestant(app, lambda: _our_count(ours))
    return Contestant(app)


async def _no_answer(method: str, path: str, headers: object) -> None:
    return None


def _null_app(wrap: Callable[[App], App]) -> App:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def item(request: Request) -> JSONResponse:
        return JSONResponse({"id": request.path_params["id"]})

    # Routes before the one that answers: who matches a second time walks past them.
    fillers = [Route(f"/filler{number}/{{key}}", item) for number in range(20)]
    framework = Starlette(routes=[*fillers, Route("/items/{id:int}", item)])
    route = framework.routes[-1]
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"9"), (b"content-type", b"application/json")],
    }
    body = {"type": "http.response.body", "body": b'{"id":42}'}

    async def inner(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope.update(route=route, router=framework.router, endpoint=item, path_params={"id": 42})
        await send(start)
        await send(body)

    wrapped = wrap(inner)

    async def outer(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope["app"] = framework
        await wrapped(scope, receive, send)

    return outer


def _fastapi_app(routes: int, **options: Any) -> Any:
    from fastapi import FastAPI

    app = FastAPI(openapi_url=None, **options)

    def add_filler(number: int) -> None:
        @app.get(f"/filler{number}/{{key}}")
        async def filler(key: str) -> dict[str, str]:
            return {"key": key}

    for number in range(routes):
        add_filler(number)

    @app.get("/items/{id}")
    async def item(id: int) -> dict[str, int]:
        return {"id": id}

    return app


def _telemetry(routes: int) -> Contestant | None:
    """None where FastAPI is too old to have it, or the SDK is not installed."""
    try:
        import fastapi.telemetry  # noqa: F401
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    except ImportError:
        return None
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    app = _fastapi_app(routes, telemetry={"meter_provider": provider, "tracing": False, "logs": False})

    def counted() -> float:
        data = reader.get_metrics_data()
        return sum(
            point.count
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "http.server.request.duration"
            for point in metric.data.data_points
        )

    return Contestant(app, counted)


def _instrumentator_count(registry: Any) -> float:
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "http_requests_total"
    )


def _our_count(registry: Registry) -> float:
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    )
