"""Watches Litestar applications, in place and outside of all their middleware."""

from __future__ import annotations

from typing import Any

from trackside.sdk.watch.asgi import wrapped
from trackside.sdk.watch.context import WatchContext


def watch(app: Any, context: WatchContext) -> object:
    app.asgi_handler = wrapped(app.asgi_handler, context, lambda path: any(route.path == path for route in app.routes))
    return app
