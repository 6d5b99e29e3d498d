"""Watches httpx's clients, synchronous and asynchronous: each request they send, redirects followed within it."""

from __future__ import annotations

from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any

from trackside.sdk.traces.finished import send_trace
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.http_calls import HttpCalls
from trackside.sdk.watch.subclassing import Subclasses


def watch(client: Any, context: WatchContext) -> object:
    if context.requests is not None:
        context.shared.the(WatchedHttpx, lambda: WatchedHttpx(context)).clients.put_on(client)
    return client


class WatchedHttpx:
    def __init__(self, context: WatchContext) -> None:
        calls = HttpCalls.of(context)
        self.clients = Subclasses(
            lambda cls: _measured_async(cls, calls) if iscoroutinefunction(cls.send) else _measured(cls, calls)
        )


def _measured(cls: Any, calls: HttpCalls) -> Any:
    class MeasuredClient(cls):  # type: ignore[misc]
        __slots__ = ()

        # All other methods end in this one. Of a streamed answer it is the time until its head.
        def send(self, request: Any, *args: Any, **named: Any) -> Any:
            began_s = perf_counter()
            send_trace(request.headers)
            try:
                response = super().send(request, *args, **named)
            except BaseException as error:
                calls.raised(request.url.host, request.method, error, perf_counter() - began_s)
                raise
            calls.answered(request.url.host, request.method, response.status_code, perf_counter() - began_s)
            return response

    return MeasuredClient


def _measured_async(cls: Any, calls: HttpCalls) -> Any:
    class MeasuredClient(cls):  # type: ignore[misc]
        __slots__ = ()

        async def send(self, request: Any, *args: Any, **named: Any) -> Any:
            began_s = perf_counter()
            send_trace(request.headers)
            try:
                response = await super().send(request, *args, **named)
            except BaseException as error:
                calls.raised(request.url.host, request.method, error, perf_counter() - began_s)
                raise
            calls.answered(request.url.host, request.method, response.status_code, perf_counter() - began_s)
            return response

    return MeasuredClient
