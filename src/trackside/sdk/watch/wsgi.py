"""Watches any WSGI callable, by wrapping it."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import cast

from trackside.sdk.middleware.answers import Headers
from trackside.sdk.middleware.wsgi import App, WsgiMiddleware
from trackside.sdk.middleware.wsgi_requests import Environ, Framework, StartResponse
from trackside.sdk.surroundings import Surroundings
from trackside.sdk.watch.context import Owns, WatchContext, owns_nothing
from trackside.sdk.watch.door import Door
from trackside.sdk.watch.signature import is_wsgi

TEMPLATE = "trackside.template"
"""Key of the environ under which a framework's adapter leaves the route template."""


def watch(thing: object, context: WatchContext) -> object | None:
    return wrapped(cast(App, thing), context) if is_wsgi(thing) else None


def _template_of(environ: Environ) -> str | None:
    return environ.get(TEMPLATE)


_ANY = Framework(_template_of)


def wrapped(app: App, context: WatchContext, owns: Owns = owns_nothing, framework: Framework = _ANY) -> App:
    """`app` measured and with our endpoints. When metrics are off, with the health endpoints only."""
    door = Door(context, owns)
    surroundings = Surroundings.of(context)
    if context.requests is not None:
        measured = WsgiMiddleware(app, context.requests, door.answer_sync, framework, door.paths)
        return surroundings.surround(measured, "wsgi")
    if door.paths:
        return surroundings.surround(WsgiDoor(app, door), "wsgi")
    return cast(App, surroundings.around(app, "wsgi"))


class WsgiDoor:
    """Answers our paths and hands on everything else untouched."""

    def __init__(self, app: App, door: Door) -> None:
        self.app = app
        self._door = door

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in self._door.paths:
            response = self._door.answer_sync(environ.get("REQUEST_METHOD", "GET"), path, _headers(environ))
            if response is not None:
                start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(response.headers))
                return [response.body]
        return self.app(environ, start_response)


def _headers(environ: Environ) -> Headers:
    return {"accept": environ.get("HTTP_ACCEPT", ""), "accept-encoding": environ.get("HTTP_ACCEPT_ENCODING", "")}
