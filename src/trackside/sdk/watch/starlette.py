"""Watches Starlette applications, in place and outside of all their middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from trackside.sdk.middleware.asgi import AsgiApp, Receive, Scope, Send
from trackside.sdk.watch.asgi import wrapped
from trackside.sdk.watch.context import Owns, WatchContext


def watch(app: Any, context: WatchContext) -> object:
    return instrumented(app, context, lambda path: has_path(app.routes, path))


def instrumented(app: Any, context: WatchContext, owns: Owns) -> object:
    # Not `add_middleware`: what the application adds later would lie outside of ours, unmeasured and in front of the
    # endpoints; it is refused once the application has started; and an error page would be made outside of it.
    build: Callable[[], AsgiApp] = app.build_middleware_stack

    def build_watched() -> AsgiApp:
        built = build()
        return _like(built, wrapped(built, context, owns))

    app.build_middleware_stack = build_watched
    if app.middleware_stack is not None:
        app.middleware_stack = _like(app.middleware_stack, wrapped(app.middleware_stack, context, owns))
    return app


def _like(built: Any, watched: AsgiApp) -> AsgiApp:
    """`watched` under the type of what it surrounds: OpenTelemetry's instrumentation takes the outermost middleware
    apart, and does nothing when that is not Starlette's own."""
    try:
        handler, debug = built.handler, built.debug
    except AttributeError:
        return watched
    kind = type(built)
    outermost: Any = object.__new__(type(kind.__name__, (kind,), {"__call__": _call}))
    outermost.app, outermost.handler, outermost.debug = watched, handler, debug
    return cast(AsgiApp, outermost)


# Not a coroutine: it hands on the awaitable of what it surrounds.
def _call(self: Any, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    called: Awaitable[None] = self.app(scope, receive, send)
    return called


def has_path(routes: Iterable[object], path: str) -> bool:
    return any(getattr(route, "path", None) in (path, f"{path}/") for route in routes)
