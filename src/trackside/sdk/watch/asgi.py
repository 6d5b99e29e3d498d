"""Watches any ASGI callable, by wrapping it."""

from __future__ import annotations

from typing import cast

from trackside.sdk.middleware.answers import joined_headers
from trackside.sdk.middleware.asgi import AsgiApp, AsgiMiddleware, Receive, Scope, Send
from trackside.sdk.runtime.event_loops import EventLoops
from trackside.sdk.runtime.first_call import FirstCall
from trackside.sdk.surroundings import Surroundings
from trackside.sdk.watch.context import Owns, WatchContext, owns_nothing
from trackside.sdk.watch.door import Door
from trackside.sdk.watch.signature import is_asgi


def watch(thing: object, context: WatchContext) -> object | None:
    return wrapped(cast(AsgiApp, thing), context) if is_asgi(thing) else None


def wrapped(app: AsgiApp, context: WatchContext, owns: Owns = owns_nothing) -> AsgiApp:
    """`app` measured and with our endpoints. When metrics are off, with the health endpoints only."""
    door = Door(context, owns)
    surroundings = Surroundings.of(context)
    if context.requests is not None:
        middleware = AsgiMiddleware(app, context.requests, door.answer, door.paths)
        FirstCall(middleware, lambda: EventLoops.of(context).watch_running())
        return surroundings.surround(middleware, "asgi")
    if door.paths:
        return surroundings.surround(AsgiDoor(app, door), "asgi")
    return cast(AsgiApp, surroundings.around(app, "asgi"))


class AsgiDoor:
    """Answers our paths and hands on everything else untouched."""

    def __init__(self, app: AsgiApp, door: Door) -> None:
        self.app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] != "http" else scope["path"].removeprefix(scope.get("root_path", ""))
        if path in self._door.paths:
            response = await self._door.answer(scope["method"], path, joined_headers(scope["headers"]))
            if response is not None:
                headers = [(name.encode(), value.encode()) for name, value in response.headers]
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                await send({"type": "http.response.body", "body": response.body})
                return
        await self.app(scope, receive, send)
