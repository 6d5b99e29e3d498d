"""Watches aiohttp's client sessions by their tracing: each request, until the head of its answer."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from aiohttp import TraceConfig

from trackside.sdk.traces.finished import send_trace
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.http_calls import HttpCalls


def watch(session: Any, context: WatchContext) -> object:
    if context.requests is not None:
        trace = context.shared.the(WatchedAiohttp, lambda: WatchedAiohttp(context)).trace
        # The list is the one the application gave, maybe to several sessions.
        if trace not in session.trace_configs:
            session.trace_configs.append(trace)
    return session


class WatchedAiohttp:
    def __init__(self, context: WatchContext) -> None:
        self.trace = _trace(HttpCalls.of(context))
        self.trace.freeze()


class _Began:
    """The moment a request began: made anew for each."""

    __slots__ = ("host", "method", "seconds")

    def __init__(self, trace_request_ctx: object = None) -> None:
        self.host: str | None = None
        self.method = ""
        self.seconds = 0.0


def _trace(calls: HttpCalls) -> TraceConfig:
    async def start(session: Any, began: Any, about: Any) -> None:
        # Redirects followed within the request change what later events say.
        began.host, began.method = about.url.host, about.method
        began.seconds = perf_counter()
        send_trace(about.headers)

    async def end(session: Any, began: Any, about: Any) -> None:
        calls.answered(began.host, began.method, about.response.status, perf_counter() - began.seconds)

    async def exception(session: Any, began: Any, about: Any) -> None:
        calls.raised(began.host, began.method, about.exception, perf_counter() - began.seconds)

    trace = TraceConfig(trace_config_ctx_factory=_Began)  # type: ignore[arg-type]
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    trace.on_request_exception.append(exception)
    return trace
