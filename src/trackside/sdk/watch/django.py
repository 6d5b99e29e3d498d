"""Watches what Django's `get_asgi_application()` and `get_wsgi_application()` give, in place."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from functools import lru_cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import Resolver404, resolve

from trackside.sdk.endpoints import Response
from trackside.sdk.guard import Guard
from trackside.sdk.middleware.answers import Headers, PathSet
from trackside.sdk.middleware.asgi import Receive, Scope, Send
from trackside.sdk.middleware.wsgi import REQUEST, SEEN, WsgiMiddleware, chunks_of
from trackside.sdk.middleware.wsgi_requests import (
    Counting,
    Environ,
    Framework,
    Request,
    StartResponse,
    size_in_memory,
)
from trackside.sdk.monitor import Monitor
from trackside.sdk.request_metrics import CLIENT_GONE, UNMATCHED, RequestMetrics
from trackside.sdk.watch import asgi, wsgi
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.door import Door

_DJANGO_REQUEST = "trackside.django_request"
"""Key of the environ under which a request is found while it is being answered."""
_COUNTED_BY = "trackside.django_middleware"
"""Key of the environ under which the middleware is that counts a request."""

# Anchors of `re_path`; after "[" a caret means something else.
_ANCHORS = re.compile(r"(?<!\[)\^|\$$|\\Z$")


def watch(handler: Any, context: WatchContext) -> object:
    kind, called = type(handler), handler.__call__
    if isinstance(handler, ASGIHandler):
        _keep_templates_async(handler, context)
        handler.__class__ = _watched_asgi(kind, asgi.wrapped(called, context, owns))
    else:
        # A handler that answers in another way than Django's is watched as any other app is.
        framework = _DJANGO._replace(tells=kind.__call__ is WSGIHandler.__call__)
        _tell(handler, context)
        handler.__class__ = _watched_wsgi(kind, wsgi.wrapped(called, context, owns, framework))
    if context.requests is not None and context.requests.counts_exceptions:
        _count_exceptions(handler, context.requests, context.guard)
    return handler


def _count_exceptions(handler: Any, requests: RequestMetrics, guard: Guard) -> None:
    # Before any middleware, which may make an answer of it.
    process = handler.process_exception_by_middleware

    def count_and_process(exception: Exception, request: Any) -> Any:
        _raised(requests, guard, exception, request)
        return process(exception, request)

    handler.process_exception_by_middleware = count_and_process


def _raised(requests: RequestMetrics, guard: Guard, exception: Exception, request: Any) -> None:
    with guard.shielded("count an exception"):
        match = request.resolver_match
        path = UNMATCHED if match is None else template(match)
        requests.raised(exception, request.method, path, request.scheme)


def template(match: Any) -> str:
    """As the other frameworks write it: "/articles/<int:year>/". Included prefixes are part of Django's route."""
    return _written(match.route)


@lru_cache(maxsize=4_096)
def _written(route: str) -> str:
    return "/" + _ANCHORS.sub("", route).lstrip("/")


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
    # Found in the class, an object that is no function is called as it is, without the handler before its arguments.
    call = app if isinstance(app, WsgiMiddleware) else staticmethod(app)
    return type(kind.__name__, (kind,), {"__call__": call})


def _keep_templates_async(handler: Any, context: WatchContext) -> None:
    get_response, guard = handler.get_response_async, context.guard

    async def get_and_keep(request: Any) -> Any:
        try:
            return await get_response(request)
        finally:
            try:
                if request.resolver_match is not None:
                    request.scope["path_template"] = template(request.resolver_match)
            except Exception as error:  # noqa: BLE001 - the host must not notice us
                guard.failed("read the route of a request", error)

    if context.requests is not None:
        handler.get_response_async = get_and_keep


def _tell(handler: Any, context: WatchContext) -> None:
    get_response, guard = handler.get_response, context.guard

    def get_and_tell(request: Any) -> Any:
        environ = request.environ
        counted = environ.pop(REQUEST, None)
        environ[_DJANGO_REQUEST] = request
        response = None
        try:
            response = get_response(request)
        finally:
            try:
                # A request that its own environ holds is a cycle.
                environ.pop(_DJANGO_REQUEST, None)
                match = request.resolver_match
                route = environ[wsgi.TEMPLATE] = None if match is None else _written(match.route)
                if counted is not None and response is not None:
                    counted.template = route
                    counted.status = status = response.status_code
                    if response.streaming:
                        counted.headers = response.items()
                    else:
                        counted.sent = len(response.content)
                        counted.end(status)
            except Exception as error:  # noqa: BLE001 - the host must not notice us
                guard.failed("count a request", error)
        return response

    if context.requests is not None:
        handler.get_response = get_and_tell


def _size_of(body: Iterable[bytes]) -> int | None:
    try:
        return len(body.content) if isinstance(body, HttpResponse) else size_in_memory(body)
    except Exception:  # noqa: BLE001 - a response that cannot be sent: the server will see
        return None


def _template_of(environ: Environ) -> str | None:
    request = environ.get(_DJANGO_REQUEST)
    if request is None:
        template: str | None = environ.get(wsgi.TEMPLATE)
        return template
    match = request.resolver_match
    return None if match is None else _written(match.route)


_DJANGO = Framework(_template_of, _size_of)


class Middleware:
    """For `settings.MIDDLEWARE`, first of all, where the handler itself cannot be watched:
    "trackside.sdk.watch.django.Middleware". The monitor is `settings.TRACKSIDE_MONITOR`, or one made from the
    environment. What a watched handler counts already is not counted here again."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        monitor = getattr(settings, "TRACKSIDE_MONITOR", None) or Monitor()
        requests: RequestMetrics | None = monitor.context.requests
        self._get_response = get_response
        self._counting = None if requests is None else Counting(requests, _DJANGO)
        self._excluded = PathSet(() if requests is None else requests.options.excluded_paths)
        self._guard: Guard = monitor.context.guard
        self._door = Door(monitor.context, owns)
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._async:
            return self._call_async(request)
        answer = None
        with self._guard.shielded("answer"):
            answer = self._door.answer_sync(request.method, request.path_info, _headers(request))
        if answer is not None:
            return _django_response(answer)
        counted = self._begun(request)
        try:
            response = self._get_response(request)
        except BaseException:
            self._failed(request, counted, 500)
            raise
        return self._counted(request, counted, response)

    async def _call_async(self, request: Any) -> Any:
        answer = None
        with self._guard.shielded("answer"):
            answer = await self._door.answer(request.method, request.path_info, _headers(request))
        if answer is not None:
            return _django_response(answer)
        counted = self._begun(request)
        try:
            response = await self._get_response(request)
        except BaseException as error:
            # Django cancels what it does for a client that has left.
            self._failed(request, counted, 500 if isinstance(error, Exception) else CLIENT_GONE)
            raise
        return self._counted(request, counted, response)

    def process_exception(self, request: Any, exception: Exception) -> None:
        """Called by Django for what a view raises and no middleware further inside makes an answer of."""
        if self._counting is not None and request.META.get(_COUNTED_BY) is self:
            _raised(self._counting.metrics, self._guard, exception, request)

    def _begun(self, request: Any) -> Request | None:
        """None: not to be counted, or not here."""
        counting = self._counting
        if counting is None:
            return None
        with self._guard.shielded("count a request"):
            seen = getattr(request, "scope", request.META)
            if request.path_info not in self._excluded and seen.get(SEEN) is not counting.metrics:
                seen[SEEN] = counting.metrics
                request.META[_DJANGO_REQUEST] = request
                request.META[_COUNTED_BY] = self
                return counting.begin(request.META)
        return None

    def _failed(self, request: Any, counted: Request | None, status: int) -> None:
        if counted is not None:
            request.META.pop(_DJANGO_REQUEST, None)
            counted.end(status)

    def _counted(self, request: Any, counted: Request | None, response: Any) -> Any:
        if counted is None:
            return response
        with self._guard.shielded("count a request"):
            request.META.pop(_DJANGO_REQUEST, None)
            match = request.resolver_match
            counted.template = None if match is None else template(match)
            counted.status = response.status_code
            if response.streaming:
                counted.headers = response.items()
                _follow(counted, response)
            else:
                counted.sent = len(response.content)
                counted.end(response.status_code)
        return response


def _follow(counted: Request, response: Any) -> None:
    """A stream is sent after the middleware has returned it. Django closes it when it is through."""
    is_file = getattr(response, "file_to_stream", None) is not None
    close = response.close

    def close_and_count() -> None:
        if not counted.ended:
            if is_file:
                counted.end(response.status_code)
            else:
                counted.abandoned()
        close()

    response.close = close_and_count
    if is_file:
        # The server may send it by itself, if it finds it as it is; its length is all we can know.
        counted.sent = max(counted.length(), 0)
    elif response.is_async:
        response.streaming_content = _chunks_async(counted, response.streaming_content)
    else:
        response.streaming_content = chunks_of(counted, iter(response.streaming_content))


async def _chunks_async(counted: Request, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            counted.handed_on(chunk)
            yield chunk
    except BaseException as error:
        if not counted.ended:
            counted.end(500) if isinstance(error, Exception) else counted.abandoned()
        raise
    if not counted.ended:
        counted.end(counted.status)


def _headers(request: Any) -> Headers:
    return {name.lower(): value for name, value in request.headers.items()}


def _django_response(answer: Response) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
