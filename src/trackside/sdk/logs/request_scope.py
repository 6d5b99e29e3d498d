"""A scope of fields around each request, with the id that the request came with or is given."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from trackside.sdk.logs.fields import CURRENT, open_scope, remember_scope
from trackside.sdk.middleware.asgi import AsgiApp, Message, Receive, Scope, Send
from trackside.sdk.middleware.wsgi import App, Environ, StartResponse

HEADER = "X-Request-ID"
_HEADER = HEADER.lower().encode()
_SEEN = "trackside.request_id"
# What is safe in a header, a log and a URL. Anything else is someone's attempt, and is not repeated to anyone.
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_STARTS = frozenset(("http.response.start", "websocket.accept"))


def request_id(given: str) -> str:
    """`given`, or a new one where it is no id that one would repeat."""
    return given if _VALID.fullmatch(given) else os.urandom(16).hex()


class AsgiRequestScope:
    def __init__(self, app: AsgiApp, started: Callable[[], None] = lambda: None) -> None:
        """`started` is called when the server tells that it starts: it has configured its own logging by then."""
        self.app = app
        self._started = started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._started()
        # An app mounted in a watched one may be watched too: the request has its id already.
        if scope["type"] not in ("http", "websocket") or _SEEN in scope:
            await self.app(scope, receive, send)
            return
        own_id = scope[_SEEN] = request_id(_given(scope))
        token = open_scope({"request_id": own_id}, perf_counter())
        encoded = own_id.encode()

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                message = _with_header(message, encoded)
            return send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except BaseException as error:
            remember_scope(error)
            raise
        finally:
            CURRENT.reset(token)


def _given(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return str(value, "latin-1")
    return ""


def _with_header(message: Message, own_id: bytes) -> Message:
    headers = list(message.get("headers") or ())
    if any(name.lower() == _HEADER for name, _ in headers):
        return message
    # A new message: the application may keep its own and send it again.
    return {**message, "headers": [*headers, (_HEADER, own_id)]}


class WsgiRequestScope:
    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if _SEEN in environ:
            return self.app(environ, start_response)
        own_id = environ[_SEEN] = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        token = open_scope({"request_id": own_id}, perf_counter())
        scope = CURRENT.get()

        def start_with_id(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if not any(name.lower() == "x-request-id" for name, _ in headers):
                headers = [*headers, (HEADER, own_id)]
            return start_response(status, headers, *exc_info)

        try:
            body = self.app(environ, start_with_id)
        except BaseException as error:
            remember_scope(error)
            CURRENT.reset(token)
            raise
        CURRENT.reset(token)
        if isinstance(body, list | tuple) or _is_file(body, environ):
            # Made already: no code of the application runs any more, but for a `close` without a line of its own.
            return body
        return _Body(body, scope)


class _Body:
    """The body of an answer, in whose scope the application goes on while it is made."""

    __slots__ = ("_body", "_chunks", "_scope")

    def __init__(self, body: Iterable[bytes], scope: Any) -> None:
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._scope = scope

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = CURRENT.set(self._scope)
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            remember_scope(error)
            raise
        finally:
            CURRENT.reset(token)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            token = CURRENT.set(self._scope)
            try:
                close()
            finally:
                CURRENT.reset(token)


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
