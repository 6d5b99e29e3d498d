"""Watches Flask applications, in place and outside of all their middleware."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import request
from werkzeug.wsgi import ClosingIterator

from trackside.sdk.guard import Guard
from trackside.sdk.middleware.wsgi_requests import Environ, Framework, size_in_memory
from trackside.sdk.request_metrics import UNMATCHED, RequestMetrics
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.wsgi import wrapped


def watch(app: Any, context: WatchContext) -> object:
    app.wsgi_app = wrapped(
        app.wsgi_app,
        context,
        lambda path: any(rule.rule in (path, f"{path}/") for rule in app.url_map.iter_rules()),
        Framework(_template_of, _size_of),
    )
    if context.requests is not None and context.requests.counts_exceptions:
        _count_exceptions(app, context.requests, context.guard)
    return app


def _count_exceptions(app: Any, requests: RequestMetrics, guard: Guard) -> None:
    # Called for whatever no handler of the application's has taken: what a function of `teardown_request` is given,
    # which could not be added any more when the application has started.
    handle = app.handle_exception

    def count_and_handle(*arguments: Any) -> Any:
        with guard.shielded("count an exception"):
            rule = request.url_rule
            path = UNMATCHED if rule is None else rule.rule
            requests.raised(arguments[-1], request.method, path, request.scheme)
        return handle(*arguments)

    app.handle_exception = count_and_handle


def _template_of(environ: Environ) -> str | None:
    try:
        # Werkzeug leaves its request there, and Flask the rule in that, before anything that may end the request.
        rule = environ["werkzeug.request"].url_rule
    except (KeyError, AttributeError):
        return None
    return None if rule is None else rule.rule


def _size_of(body: Iterable[bytes]) -> int | None:
    if type(body) is not ClosingIterator:
        return size_in_memory(body)
    try:
        # What is to be closed: the chunks, where the answer has any, and then the response.
        callbacks: Any = body._callbacks
        chunks = callbacks[-1].__self__.response
    except (AttributeError, IndexError):
        # Not a response's, or not of the Werkzeug that we know: followed like any other body.
        return None
    if type(chunks) is not list:
        return None
    if len(callbacks) == 1:
        return 0
    if len(chunks) == 1 and type(chunks[0]) is bytes:
        return len(chunks[0])
    return sum(map(len, chunks)) if all(type(chunk) is bytes for chunk in chunks) else None
