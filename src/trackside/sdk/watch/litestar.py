"""Watches Litestar applications, in place and outside of all their middleware."""

from __future__ import annotations

from typing import Any

from trackside.sdk.middleware.asgi import App, Receive, Scope, Send
from trackside.sdk.watch.asgi import wrapped
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.template import Templates


def watch(app: Any, context: WatchContext) -> object:
    handler: App = app.asgi_handler
    inner = handler if context.requests is None else _RouteKept(handler)
    app.asgi_handler = wrapped(inner, context, lambda path: any(route.path == path for route in app.routes))
    return app


class _RouteKept:
    """Litestar's router leaves the template as text; it is put where the others leave their route."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._templates = Templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            template = scope.get("path_template")
            if template:
                scope["route"] = self._templates.of(template)
