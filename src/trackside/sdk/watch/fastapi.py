"""Watches FastAPI applications. What differs from Starlette's is where the routes of included routers are."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.starlette import has_path, instrumented


def watch(app: Any, context: WatchContext) -> object:
    return instrumented(app, context, lambda path: has_path(_routes(app), path))


def _routes(app: Any) -> Iterable[object]:
    # Since 0.137 included routers are a tree, with a function to walk it; before, they were copied into the list.
    walk = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    routes: Iterable[object] = app.routes if walk is None else walk(app.routes)
    return routes
