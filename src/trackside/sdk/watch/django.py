"""Watches what Django's `get_asgi_application()` and `get_wsgi_application()` give, in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.urls import Resolver404, resolve

from trackside.sdk.endpoints import Response
from trackside.sdk.guard import Guard
from trackside.sdk.middleware.answers import Headers
from trackside.sdk.middleware.asgi import Receive, Scope, Send
from trackside.sdk.middleware.wsgi import Environ, StartResponse
from trackside.sdk.monitor import Monitor
from trackside.sdk.request_metrics import UNMATCHED, RequestMetrics
from trackside.sdk.watch import asgi, wsgi
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.door import Door

# Anchors of `re_path`; after "[" a caret means something else.
_ANCHORS = re.compile(r"(?<!\[)\^|\$$|\\Z$")


def watch(handler: Any, context: WatchContext) -> object:
    kind = type(handler)
    called = partial(kind.__call__, handler)
    if isinstance(handler, ASGIHandler):
        _keep_templates_async(handler, context)
        handler.__class__ = _watched_asgi(kind, asgi.wrapped(called, context, owns))
    else:
        _keep_templates(handler, context)
        handler.__class__ = _watched_wsgi(kind, wsgi.wrapped(called, context, owns))
    return handler


def template(match: Any) -> str:
    """As the other frameworks write it: "/articles/<int:year>/". Included prefixes are part of Django's route."""
    return "/" + _ANCHORS.sub("", match.route).lstrip("/")


def owns(path: str) -> bool:
    for exact in (path, f"{path}/"):
        try:
            match = resolve(exact)
        except Resolver404:
            continue
        if template(match) == exact:
            return True
    return False


# A call of an object looks the method up in its class: a handler watched in place needs a class of its own. Whoever
# asks for its type finds a subclass of what it was.


def _watched_asgi(kind: type, app: Callable[[Scope, Receive, Send], Any]) -> type:
    async def call(self: object, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return type(kind.__name__, (kind,), {"__call__": call})


def _watched_wsgi(kind: type, app: Callable[[Environ, StartResponse], Iterable[bytes]]) -> type:
    def call(self: object, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return app(environ, start_response)

    return type(kind.__name__, (kind,), {"__call__": call})


def _keep_templates_async(handler: Any, context: WatchContext) -> None:
    get_response, guard = handler.get_response_async, context.guard

    async def get_and_keep(request: Any) -> Any:
        try:
            return await get_response(request)
        finally:
            with guard.shielded("read the route of a request"):
                if request.resolver_match is not None:
                    request.scope["path_template"] = template(request.resolver_match)

    if context.requests is not None:
        handler.get_response_async = get_and_keep


def _keep_templates(handler: Any, context: WatchContext) -> None:
    get_response, guard = handler.get_response, context.guard

    def get_and_keep(request: Any) -> Any:
        try:
            return get_response(request)
        finally:
            with guard.shielded("read the route of a request"):
                if request.resolver_match is not None:
                    request.environ[wsgi.TEMPLATE] = template(request.resolver_match)

    if context.requests is not None:
        handler.get_response = get_and_keep


class Middleware:
    """For `settings.MIDDLEWARE`, first of all, where the handler itself cannot be watched:
    "trackside.sdk.watch.django.Middleware". The monitor is `settings.TRACKSIDE_MONITOR`, or one made from the
    environment. What a watched handler counts already is not counted here again."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        monitor = getattr(settings, "TRACKSIDE_MONITOR", None) or Monitor()
        self._get_response = get_response
        self._requests: RequestMetrics | None = monitor.context.requests
        self._guard: Guard = monitor.context.guard
        self._door = Door(monitor.context, owns)
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._async:
            return self._call_async(request)
        answer = self._door.answer_sync(request.method, request.path_info, _headers(request))
        if answer is not None:
            return _django_response(answer)
        began_s = perf_counter()
        return self._counted(request, self._get_response(request), began_s)

    async def _call_async(self, request: Any) -> Any:
        answer = await self._door.answer(request.method, request.path_info, _headers(request))
        if answer is not None:
            return _django_response(answer)
        began_s = perf_counter()
        return self._counted(request, await self._get_response(request), began_s)

    def _counted(self, request: Any, response: Any, began_s: float) -> Any:
        requests = self._requests
        if requests is None or getattr(request, "scope", request.META).get("trackside.request_metrics") is requests:
            return response
        with self._guard.shielded("count a request"):
            match = request.resolver_match
            cell = requests.cell(request.method, template(match) if match else UNMATCHED, response.status_code)
            received = request.META.get("CONTENT_LENGTH") or "0"
            received_bytes = int(received) if received.isdecimal() else 0
            if not response.streaming:
                requests.count(cell, perf_counter() - began_s, received_bytes, len(response.content))
                return response
            close = response.close

            def close_and_count() -> None:
                close()
                requests.count(cell, perf_counter() - began_s, received_bytes, 0)

            # A stream is sent after this function has returned; Django closes it when it is through.
            response.close = close_and_count
        return response


def _headers(request: Any) -> Headers:
    return {name.lower(): value for name, value in request.headers.items()}


def _django_response(answer: Response) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
