"""Watches a client of a model provider, in place: every query passes its public method `post`.

That one method is below all that an application may call: resources, their helpers for streams and structured answers,
raw responses, beta versions. Wrapping it loads none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any, NamedTuple

from trackside.sdk.ai.metrics import AiMetrics
from trackside.sdk.watch.ai_query import Query, Reader
from trackside.sdk.watch.ai_stream import observe
from trackside.sdk.watch.context import WatchContext


class Endpoint(NamedTuple):
    operation: str
    reader: Callable[[], Reader]


Endpoints = Mapping[str, Endpoint]
"""By path. What is not in it is no query to a model."""

_WATCHED_BY = "trackside_metrics"
_NESTING = 3


def watch_client(client: object, context: WatchContext, endpoints: Endpoints) -> object:
    if context.requests is None:
        return client
    return _instrumented(client, AiMetrics.of(context), endpoints)


def _instrumented(client: Any, metrics: AiMetrics, endpoints: Endpoints) -> Any:
    post = client.post
    if not _is_watched(post, metrics):
        client.post = _observed(post, _Asking(metrics, endpoints, client))
        setattr(client.post, _WATCHED_BY, metrics)
        _replace_in_resources(client, client.__dict__, post, client.post, _NESTING)
        for name in ("copy", "with_options"):
            if callable(copy := getattr(client, name, None)):
                setattr(client, name, _observed_copy(copy, metrics, endpoints))
    return client


class _Asking:
    """What a client asks models."""

    def __init__(self, metrics: AiMetrics, endpoints: Endpoints, client: object) -> None:
        self._metrics = metrics
        self._endpoints = endpoints
        # Not the client: it would hold on to itself through its own method. What it traces is settled when it is made.
        self._traces_itself = False
        with metrics.guard.shielded("learn whether a client traces"):
            self._traces_itself = _traces_itself(client)

    def begin(self, path: str, body: object) -> Query | None:
        with self._metrics.guard.shielded("begin a query"):
            endpoint = self._endpoints.get(path.partition("?")[0])
            if endpoint is not None:
                asked = body.get("model") if isinstance(body, Mapping) else None
                model = asked if isinstance(asked, str) else ""
                return Query(
                    self._metrics, endpoint.reader(), model, endpoint.operation, traced_elsewhere=self._traces_itself
                )
        return None


def _traces_itself(client: object) -> bool:
    """Newer clients make the spans of OpenTelemetry themselves, unless they are told not to."""
    options = getattr(client, "open_telemetry", None)
    return isinstance(options, Mapping) and bool(options["traces"]["enabled"])


def _observed(post: Callable[..., Any], asking: _Asking) -> Callable[..., Any]:
    @wraps(post)
    def observed_post(path: str, *args: Any, **named: Any) -> Any:
        query = asking.begin(path, named.get("body"))
        if query is None:
            return post(path, *args, **named)
        try:
            answer = post(path, *args, **named)
        except BaseException as error:
            query.failed(error)
            raise
        # A wrapper of somebody else's around an asynchronous method need not look like one.
        if isawaitable(answer):
            return _awaited(answer, query)
        observe(answer, query)
        return answer

    @wraps(post)
    async def observed_post_async(path: str, *args: Any, **named: Any) -> Any:
        query = asking.begin(path, named.get("body"))
        if query is None:
            return await post(path, *args, **named)
        return await _awaited(post(path, *args, **named), query)

    return observed_post_async if iscoroutinefunction(post) else observed_post


async def _awaited(coming: Awaitable[Any], query: Query) -> Any:
    try:
        answer = await coming
    except BaseException as error:
        query.failed(error)
        raise
    observe(answer, query)
    return answer


def _observed_copy(copy: Callable[..., Any], metrics: AiMetrics, endpoints: Endpoints) -> Callable[..., Any]:
    @wraps(copy)
    def observed_copy(*args: Any, **named: Any) -> Any:
        made = copy(*args, **named)
        with metrics.guard.shielded("watch the copy of a client"):
            _instrumented(made, metrics, endpoints)
        return made

    return observed_copy


def _is_watched(post: Any, metrics: AiMetrics) -> bool:
    while post is not None:
        if getattr(post, _WATCHED_BY, None) is metrics:
            return True
        post = getattr(post, "__wrapped__", None)
    return False


def _replace_in_resources(
    client: object, attributes: Mapping[str, Any], post: object, replacement: object, depth: int
) -> None:
    """Resources that were used before the client was watched hold on to the method as it was."""
    for value in list(attributes.values()):
        inner = getattr(value, "__dict__", None)
        if value is client or not isinstance(inner, dict) or inner.get("_client") is not client:
            continue
        if inner.get("_post") == post:
            value._post = replacement
        if depth > 1:
            _replace_in_resources(client, inner, post, replacement, depth - 1)
