"""The server's HTTP as one application: protocols, pages, health, and the door before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from trackside.exceptions import ConfigError, LimitError, TracksideError
from trackside.server.access.admission import Admission
from trackside.server.web.api.all import api_routes
from trackside.server.web.api.answers import failure, of_error
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError
from trackside.server.web.gate import API_PREFIXES, Gate, nothing_more
from trackside.server.web.late import LateRoutes, Load
from trackside.server.web.prefix import with_links_under

COMPRESS_FROM_BYTES = 1_000
COMPRESS_LEVEL = 4


class Controls(Protocol):
    """What of the server can be asked or done over HTTP, apart from its data."""

    def exposition(self) -> bytes:
        """The server's own metrics."""
        ...

    async def reload(self) -> None:
        """
        Raises:
            ConfigError: the configuration is wrong, and the running one stays.
        """
        ...


def build_app(
    console: Console,
    admission: Admission,
    pages: Load,
    controls: Controls,
    *,
    no_auth: bool = False,
    published: Callable[[str], bool] = nothing_more,
) -> ASGIApp:
    """`pages`: made when somebody first asks for one. `published`: whether everybody may see what is at a path."""

    def people() -> Sequence[BaseRoute]:
        from trackside.server.web.api.job_actions import JobActionsApi  # noqa: PLC0415 - as late.py says
        from trackside.server.web.login import LoginPages  # noqa: PLC0415 - as late.py says

        return [*LoginPages(admission).routes(), *JobActionsApi(console).pages(), *pages()]

    app = Starlette(
        routes=[*_own_routes(controls), *api_routes(console)],
        exception_handlers={
            HTTPException: _http_error,
            LimitError: _unusable,
            ParameterError: _unusable,
            Exception: _broken,
        },
    )
    LateRoutes(app.router, people)
    gate = Gate(app, admission, console.external_url, no_auth=no_auth, published=published)
    linked = with_links_under(urlsplit(console.external_url).path.rstrip("/"), gate)
    return GZipMiddleware(linked, minimum_size=COMPRESS_FROM_BYTES, compresslevel=COMPRESS_LEVEL)


def _own_routes(controls: Controls) -> list[BaseRoute]:
    async def healthy(request: Request) -> Response:
        return PlainTextResponse("Trackside is healthy.\n")

    async def ready(request: Request) -> Response:
        return PlainTextResponse("Trackside is ready.\n")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def health_ready(request: Request) -> Response:
        return JSONResponse({"status": "ready"})

    async def metrics(request: Request) -> Response:
        return Response(controls.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def reload(request: Request) -> Response:
        try:
            await controls.reload()
        except ConfigError as error:
            return PlainTextResponse(f"failed to reload the configuration, the running one is kept:\n{error}\n", 500)
        return PlainTextResponse("")

    async def graph(request: Request) -> Response:
        # Links in people's notifications and templates, as Prometheus makes them.
        return RedirectResponse(f"/explore?{urlencode({'expr': request.query_params.get('g0.expr', '')})}", 302)

    return [
        Route("/graph", graph),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/-/reload", reload, methods=["POST", "PUT"]),
        Route("/health", health),
        Route("/health/live", health),
        Route("/health/ready", health_ready),
        Route("/metrics", metrics),
    ]


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if _is_api(request):
        kind = "not_found" if status == 404 else "bad_data"
        reason = "there is no such path" if status == 404 else str(getattr(error, "detail", error))
        return failure(reason, kind, status)
    if status == 404:
        return _error_page(404, "There is no such page", "The address may be mistyped, or the page has moved.")
    return _error_page(status, "That does not work", str(getattr(error, "detail", "")))


async def _unusable(request: Request, error: Exception) -> Response:
    assert isinstance(error, TracksideError)
    if _is_api(request):
        return of_error(error)
    status = 413 if isinstance(error, LimitError) else 400
    return _error_page(status, "That cannot be read", str(error))


async def _broken(request: Request, error: Exception) -> Response:
    # Starlette logs the traceback; whoever asked gets no more than they can use.
    if _is_api(request):
        return failure("internal error; the server's log says more", "internal", 500)
    return _error_page(500, "Something broke", "The server's log says what. The other pages are not affected.")


def _error_page(status: int, title: str, explanation: str, detail: str = "") -> Response:
    from trackside.server.web import render  # noqa: PLC0415 - as late.py says

    return render.error_page(status, title, explanation, detail)


def _is_api(request: Request) -> bool:
    path: str = request.scope["path"]
    return path.startswith(API_PREFIXES)
