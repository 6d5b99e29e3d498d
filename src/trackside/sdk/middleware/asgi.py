"""Counts the HTTP requests of an ASGI app, and answers the monitoring's own paths in front of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from time import perf_counter
from types import TracebackType
from typing import Any

from trackside.sdk.middleware.answers import Answer, Headers, PathSet, joined_headers
from trackside.sdk.middleware.routes import Templates, subject_of
from trackside.sdk.middleware.sockets import Sockets
from trackside.sdk.request_metrics import (
    BUCKETS,
    CLIENT_GONE,
    KNOWN_METHODS,
    RECEIVED,
    SENT,
    SUM,
    Cell,
    CellCache,
    RequestMetrics,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
AnswerAsync = Callable[[str, str, Headers], Awaitable[Answer | None]]
"""Of method, path and headers; None when the path is not one of ours."""

_SEEN = "trackside.request_metrics"
_LAST_MESSAGES = frozenset(("http.response.pathsend", "http.response.zerocopysend"))


class AsgiMiddleware:
    """Wraps an app, alone or inside a framework's stack of middleware."""

    def __init__(
        self,
        app: AsgiApp,
        metrics: RequestMetrics,
        answer: AnswerAsync | None = None,
        answered_paths: Collection[str] = ("*",),
    ) -> None:
        """`answer` is asked on `answered_paths` (written as `excluded_paths` are; on every path, unless told), and
        where it says None the app."""
        self.app = app
        self._metrics = metrics
        self._answer = answer
        self._answered = PathSet(answered_paths if answer else ())
        self._excluded = PathSet(metrics.options.excluded_paths)
        self._apart = self._answered | self._excluded
        self._apart_exactly = self._apart.exact
        self._watches_prefixes = bool(self._apart.prefixes)
        self._counting = _Counting(metrics)
        self._request = _RequestWithFirstByte if metrics.tables.first_byte_at else _Request
        self._sockets = Sockets(metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An app mounted in a watched one may be watched too: the outermost counts.
        if scope["type"] != "http" or scope.get(_SEEN) is self._metrics:
            await self._other(scope, receive, send)
            return
        if scope["path"] in self._apart_exactly or self._watches_prefixes or scope.get("root_path"):
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if path in self._apart and await self._handled(path, scope, receive, send):
                return
        scope[_SEEN] = self._metrics
        # Filled here and not by a constructor, whose call would cost as much as all of this.
        request = self._request()
        request.counting = counting = self._counting
        request.scope = scope
        request.server_receive = receive
        request.server_send = send
        request.received = request.sent = request.status = 0
        request.ended = request.gone = False
        counting.in_flight.add(request)
        request.began_s = perf_counter()
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            request.fail(error)
            raise
        if not request.ended:
            request.end(request.status or 500)

    @property
    def routes(self) -> Any:
        """Those of the app: routers look into what is mounted in them, to make URLs, and we to name requests."""
        return getattr(self.app, "routes", [])

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or scope.get(_SEEN) is self._metrics:
            await self.app(scope, receive, send)
            return
        if scope["path"].removeprefix(scope.get("root_path", "")) in self._excluded:
            await self.app(scope, receive, send)
            return
        scope[_SEEN] = self._metrics
        await self._sockets.serve(self.app, scope, receive, send, self._counting.template)

    async def _handled(self, path: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether a path apart is done with: answered by us, or by the app without being counted."""
        if path in self._answered and await self._answers(path, scope, send):
            return True
        if path in self._excluded:
            await self.app(scope, receive, send)
            return True
        return False

    async def _answers(self, path: str, scope: Scope, send: Send) -> bool:
        answer = None
        try:
            if self._answer is not None:
                answer = await self._answer(scope["method"], path, joined_headers(scope["headers"]))
        except Exception:  # noqa: BLE001 - then the app says what there is at this path
            self._metrics.count_error("answer")
        if answer is None:
            return False
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
        return True


class _Counting:
    """Where the requests of one middleware are counted."""

    __slots__ = (
        "bounds",
        "cache",
        "cells",
        "hook",
        "in_flight",
        "lock",
        "metrics",
        "places",
        "route_tells",
        "templates",
    )

    def __init__(self, metrics: RequestMetrics) -> None:
        self.metrics = metrics
        self.cache = CellCache(metrics)
        self.templates = Templates()
        self.hook = metrics.options.path_template
        self.route_tells = self.hook is None and not metrics.by_scheme and not metrics.tables.sizes
        """Whether a request's cell is that of its route, method and status, and is counted with four additions."""
        # What each request needs, one look-up away.
        self.cells = self.cache.cells
        self.in_flight = metrics.in_flight
        self.bounds = metrics.bounds
        self.lock = metrics.lock
        self.places = metrics.places

    def count(self, request: _Request, status: int, took_s: float, first_s: float | None = None) -> None:
        """A request whose cell takes more than one look-up to find."""
        find = self._finder(request.scope, status)
        with self.lock:
            self.metrics.count(find(), took_s, request.received, request.sent, first_s)

    def _finder(self, scope: Scope, status: int) -> Callable[[], Cell]:
        """What can be asked for the cell with the lock held: the application's code is not called under it."""
        subject = self._subject(scope)
        method = scope["method"]
        identity = subject if type(subject) is str else id(subject)
        key: tuple[object, ...] = (identity, method, status)
        if "app_root_path" in scope:
            # One app may be mounted in two places, so that the route alone does not tell.
            key = (*key, self.templates.prefix(scope))
        scheme = scope.get("scheme", "http")
        if self.metrics.by_scheme:
            key = (*key, scheme)
        template = None if key in self.cells else self.templates.template(scope, subject)

        def find() -> Cell:
            cell = self.cells.get(key)
            if cell is None:
                cell = self.metrics.cell(method, template or self.templates.template(scope, subject), status, scheme)
                if method in KNOWN_METHODS:
                    self.cache.keep(key, cell, subject)
            return cell

        return find

    def template(self, scope: Scope) -> str:
        return self.templates.template(scope, self._subject(scope))

    def _subject(self, scope: Scope) -> Any:
        found = None if self.hook is None else self.hook(scope)
        return self.templates.subject(scope) if found is None else found


class _Request:
    """One request between its first and its last message. It is counted at the last, so that what the app does after
    it (background tasks) belongs to no one's waiting."""

    # Flat and with few calls: between the app's own code nothing of ours is in the processor's caches, and what costs
    # one microsecond in a loop costs two in an app.
    __slots__ = (
        "began_s",
        "counting",
        "ended",
        "gone",
        "received",
        "scope",
        "sent",
        "server_receive",
        "server_send",
        "status",
    )

    counting: _Counting
    scope: Scope
    server_receive: Receive
    server_send: Send
    began_s: float
    received: int
    sent: int
    status: int
    ended: bool
    gone: bool
    """Whether the client left before the end."""

    # Not a coroutine: it hands on the server's own awaitable, which saves one for each message.
    def send(self, message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "http.response.body":
                self.sent += len(message.get("body", b""))
                if not message.get("more_body") and not self.ended:
                    self.end(self.status or 500)
            elif kind == "http.response.start":
                self.status = message["status"]
            elif kind in _LAST_MESSAGES and not self.ended:
                self.end(self.status or 500)
        except Exception:  # noqa: BLE001 - the server says what is wrong with a message
            self.counting.metrics.count_error("request")
        return self.server_send(message)

    async def receive(self) -> Message:
        message = await self.server_receive()
        try:
            if message["type"] == "http.request":
                self.received += len(message.get("body", b""))
            elif message["type"] == "http.disconnect":
                self.gone = True
        except Exception:  # noqa: BLE001 - see `send`
            self.counting.metrics.count_error("request")
        return message

    def fail(self, error: BaseException) -> None:
        """The app raised. After the last message the client had its answer, and this is no part of it."""
        if self.ended:
            return
        if not isinstance(error, Exception) or _raised_by_sending(error, self.server_send):
            self.gone = True
        self.end(500)

    def end(self, status: int) -> None:
        self.ended = True
        counting = self.counting
        try:
            took_s = perf_counter() - self.began_s
            counting.in_flight.discard(self)
            scope = self.scope
            if self.gone:
                status = CLIENT_GONE
            route = subject_of(scope) if "fastapi" in scope else scope.get("route")
            if route is None or "app_root_path" in scope or not counting.route_tells:
                counting.count(self, status, took_s)
                return
            key = id(route), scope["method"], status
            bucket = bisect_left(counting.bounds, took_s) + BUCKETS
            # Found and changed in one go: cells move when other processes come to serve the same application.
            try:
                with counting.lock:
                    cell = counting.cells[key]
                    cell[bucket] += 1
                    cell[SUM] += took_s
                    cell[RECEIVED] += self.received
                    cell[SENT] += self.sent
            except KeyError:
                counting.count(self, status, took_s)
                return
            if counting.places.trace is not None:
                counting.metrics.observe(cell, bucket, took_s)
        except Exception:  # noqa: BLE001 - the app must not notice us
            counting.metrics.count_error("request")

    def labels(self) -> tuple[str, ...]:
        return self.scope["method"], self.counting.template(self.scope), self.scope.get("scheme", "http")


class _RequestWithFirstByte(_Request):
    """One of which it is told, too, when the body begins."""

    __slots__ = ("first_s",)

    first_s: float

    def send(self, message: Message) -> Awaitable[None]:
        if not self.sent and message.get("body"):
            self.first_s = perf_counter() - self.began_s
        return _Request.send(self, message)

    def end(self, status: int) -> None:
        self.ended = True
        counting = self.counting
        try:
            took_s = perf_counter() - self.began_s
            counting.in_flight.discard(self)
            status = CLIENT_GONE if self.gone else status
            # An answer without a body has begun when it ends.
            counting.count(self, status, took_s, getattr(self, "first_s", took_s))
        except Exception:  # noqa: BLE001 - see above
            counting.metrics.count_error("request")


def _raised_by_sending(error: BaseException | None, send: Send) -> bool:
    """Whether the connection broke under the server's `send`: frameworks wrap what it raises, and the app's own broken
    connections look the same but did not come through it."""
    called = getattr(send, "func", send)
    code = getattr(getattr(called, "__func__", called), "__code__", None)
    for _ in range(8):
        if error is None:
            return False
        if isinstance(error, OSError) and _passed(error.__traceback__, code):
            return True
        error = error.__cause__ or error.__context__
    return False


def _passed(traceback: TracebackType | None, code: object) -> bool:
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            return True
        traceback = traceback.tb_next
    return False
