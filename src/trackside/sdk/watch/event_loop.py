"""Watches asyncio event loops. Those that run a watched ASGI application are watched without being named."""

from __future__ import annotations

from typing import Any

from trackside.sdk.runtime.event_loops import EventLoops
from trackside.sdk.watch.context import WatchContext


def watch(loop: Any, context: WatchContext) -> object:
    if context.requests is not None:
        EventLoops.of(context).watch(loop)
    return loop
