"""Watches any ASGI callable, by wrapping it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, cast

from trackside.sdk.middleware.asgi import App, AsgiMiddleware, Receive, Scope, Send
from trackside.sdk.watch.context import Owns, WatchContext, owns_nothing
from trackside.sdk.watch.door import Door


def watch(thing: object, context: WatchContext) -> object | None:
    if not is_asgi(thing):
        return None
    return wrapped(cast(App, thing), context)


def wrapped(app: App, context: WatchContext, owns: Owns = owns_nothing) -> App:
    """`app` measured and with our endpoints. When metrics are off, with the health endpoints only."""
    door = Door(context, owns)
    if context.requests is not None:
        return AsgiMiddleware(app, context.requests, door.answer)
    return AsgiDoor(app, door) if door.paths else app


class AsgiDoor:
    """Answers our paths and hands on everything else untouched."""

    def __init__(self, app: App, door: Door) -> None:
        self.app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self._door.paths:
            response = await self._door.answer(scope["method"], scope["path"], scope["headers"])
            if response is not None:
                headers = [(name.encode(), value.encode()) for name, value in response.headers]
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                await send({"type": "http.response.body", "body": response.body})
                return
        await self.app(scope, receive, send)


def is_asgi(thing: object) -> bool:
    """Three arguments, or two and a coroutine would be neither; a class is a factory, not an application."""
    return callable(thing) and not inspect.isclass(thing) and parameters(thing) == 3


def parameters(thing: Any) -> int | None:
    """How many positional arguments `thing` must be called with; None when its signature does not tell."""
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in found):
        return None
    return sum(parameter.kind in positional and parameter.default is parameter.empty for parameter in found)


def is_coroutine_function(thing: Any) -> bool:
    while isinstance(thing, partial):
        thing = thing.func
    return inspect.iscoroutinefunction(thing) or inspect.iscoroutinefunction(getattr(type(thing), "__call__", None))  # noqa: B004
