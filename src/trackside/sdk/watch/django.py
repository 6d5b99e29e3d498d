"""Watches what Django's `get_asgi_application()` and `get_wsgi_application()` give, in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.urls import Resolver404, resolve

from trackside.sdk.middleware.asgi import Receive, Scope, Send
from trackside.sdk.middleware.wsgi import Environ, StartResponse
from trackside.sdk.watch import asgi, wsgi
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.template import Templates

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
    get_response, templates, guard = handler.get_response_async, Templates(), context.guard

    async def get_and_keep(request: Any) -> Any:
        try:
            return await get_response(request)
        finally:
            with guard.shielded("read the route of a request"):
                if request.resolver_match is not None:
                    request.scope["route"] = templates.of(template(request.resolver_match))

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
