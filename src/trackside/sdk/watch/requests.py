"""Watches sessions of requests: each request they send, redirects followed within it."""

from __future__ import annotations

from threading import local
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from trackside.sdk.traces.finished import send_trace
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.http_calls import HttpCalls


def watch(session: Any, context: WatchContext) -> object:
    if context.requests is not None:
        # Set on the session, not on a class derived from its own: sessions are pickled, by name of their class, and
        # leave out of the pickle what they do not know.
        session.send = _measured(session.send, HttpCalls.of(context))
    return session


def _measured(send: Any, calls: HttpCalls) -> Any:
    here = local()

    def measured(request: Any, **named: Any) -> Any:
        # Redirects are followed by calling this again.
        if getattr(here, "sending", False):
            return send(request, **named)
        here.sending = True
        began_s = perf_counter()
        send_trace(request.headers)
        try:
            response = send(request, **named)
        except BaseException as error:
            calls.raised(_host(request), _method(request), error, perf_counter() - began_s)
            raise
        finally:
            here.sending = False
        calls.answered(_host(request), _method(request), response.status_code, perf_counter() - began_s)
        return response

    return measured


def _host(request: Any) -> str:
    try:
        return urlsplit(request.url).hostname or ""
    except ValueError:
        return ""


def _method(request: Any) -> str:
    return str(request.method or "GET").upper()
