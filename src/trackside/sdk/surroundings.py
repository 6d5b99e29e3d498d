"""What is put around watched applications besides counting: request ids for logs, server spans for traces."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

from trackside.sdk.guard import Guard
from trackside.sdk.watch.context import WatchContext

T = TypeVar("T")
Kind = Literal["asgi", "wsgi"]


class Layer(NamedTuple):
    """Wraps an application in what one of our parts wants to do around each request."""

    asgi: Callable[[Any], Any]
    wsgi: Callable[[Any], Any]


class Surroundings:
    """Layers come and middlewares come, in any order: each layer ends up around the application of each middleware.

    A middleware gives its `app` attribute, read anew for each request. So a part that is not switched on costs a
    request nothing at all, and one that is switched on after an application was watched still reaches it.
    """

    @classmethod
    def of(cls, context: WatchContext) -> Surroundings:
        return context.shared.the(cls, lambda: cls(context.guard))

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._layers: list[Layer] = []
        self._middlewares: list[tuple[weakref.ref[Any], Kind]] = []

    def add(self, layer: Layer) -> None:
        self._layers.append(layer)
        for reference, kind in self._middlewares:
            middleware = reference()
            if middleware is not None:
                middleware.app = self._wrapped(middleware.app, kind, layer)

    def surround(self, middleware: T, kind: Kind) -> T:
        """Around `middleware.app`, now and when layers are added. Returns `middleware`."""
        self._middlewares = [known for known in self._middlewares if known[0]() is not None]
        with self._guard.shielded("surround an application"):
            self._middlewares.append((weakref.ref(middleware), kind))
            middleware.app = self.around(middleware.app, kind)  # type: ignore[attr-defined]
        return middleware

    def around(self, app: Any, kind: Kind) -> Any:
        """For an application without a middleware of ours: the layers there are at this moment."""
        for layer in self._layers:
            app = self._wrapped(app, kind, layer)
        return app

    def _wrapped(self, app: Any, kind: Kind, layer: Layer) -> Any:
        wrapped = app
        with self._guard.shielded("surround an application"):
            wrapped = layer.asgi(app) if kind == "asgi" else layer.wsgi(app)
        return wrapped
