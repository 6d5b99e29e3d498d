"""Watches Starlette applications, in place and outside of all their middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from trackside.sdk.middleware.asgi import AsgiApp
from trackside.sdk.watch.asgi import wrapped
from trackside.sdk.watch.context import Owns, WatchContext


def watch(app: Any, context: WatchContext) -> object:
    return instrumented(app, context, lambda path: has_path(app.routes, path))


def instrumented(app: Any, context: WatchContext, owns: Owns) -> object:
    # Not `add_middleware`: what the application adds later would lie outside of ours, unmeasured and in front of the
    # endpoints; it is refused once the application has started; and an error page would be made outside of it.
    build: Callable[[], AsgiApp] = app.build_middleware_stack

    def build_watched() -> AsgiApp:
        return wrapped(build(), context, owns)

    app.build_middleware_stack = build_watched
    if app.middleware_stack is not None:
        app.middleware_stack = wrapped(app.middleware_stack, context, owns)
    return app


def has_path(routes: Iterable[object], path: str) -> bool:
    return any(getattr(route, "path", None) in (path, f"{path}/") for route in routes)
