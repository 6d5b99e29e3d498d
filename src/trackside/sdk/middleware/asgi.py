"""Counts the HTTP requests of an ASGI app, and answers the monitoring's own paths in front of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from time import perf_counter
from types import TracebackType
from typing import Any

from trackside.sdk.middleware.answers import Answer, Headers, PathSet, joined_headers
from trackside.sdk.middleware.routes import Templates, subject_of
from trackside.sdk.request_metrics import CLIENT_GONE, KNOWN_METHODS, UNMATCHED, CellCache, RequestMetrics

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
        apart = self._answered | PathSet(metrics.options.excluded_paths)
        self._exact, self._prefixes = apart.exact, apart.prefixes
        self._excluded = PathSet(metrics.options.excluded_paths)
        self._counting = _Counting(metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope.get(_SEEN) is self._metrics:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        root = scope.get("root_path")
        if root and path.startswith(root):
            path = path[len(root) :]
        if path in self._exact or path.startswith(self._prefixes):
            if path in self._answered and await self._answers(path, scope, send):
                return
            if path in self._excluded:
                await self.app(scope, receive, send)
                return
        # An app mounted in a watched one may be watched too: the outermost counts.
        scope[_SEEN] = self._metrics
        request = _Request(self._counting, scope, receive, send)
        running = self._metrics.in_flight
        running.add(request)
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            request.fail(error)
            raise
        finally:
            if not request.ended:
                request.end(request.status or 500)

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

    __slots__ = ("cache", "metrics", "template_hook", "templates")

    def __init__(self, metrics: RequestMetrics) -> None:
        self.metrics = metrics
        self.templates = Templates()
        self.cache = CellCache(metrics)
        self.template_hook = metrics.options.path_template

    def count(self, scope: Scope, status: int, took_s: float, received: int, sent: int) -> None:
        subject = self.template_hook and self.template_hook(scope)
        if subject is None:
            subject = subject_of(scope)
        # What is inside mounts has their template in its key: one app may be mounted in two places.
        mounts = self.templates.prefix(scope) if "app_root_path" in scope else ""
        method = scope["method"]
        key = (subject if type(subject) is str else id(subject), mounts, method, status)
        cell = self.cache.cells.get(key)
        if cell is None:
            cell = self.metrics.cell(method, self.templates.template(scope, subject), status)
            if method in KNOWN_METHODS:
                self.cache.keep(key, cell, subject)
        self.metrics.count(cell, took_s, received, sent)

    def template(self, scope: Scope) -> str:
        subject = self.template_hook and self.template_hook(scope)
        return self.templates.template(scope, subject_of(scope) if subject is None else subject) or UNMATCHED


class _Request:
    """One request between its first and its last message. It is counted at the last, so that what the app does after
    it (background tasks) belongs to no one's waiting."""

    __slots__ = (
        "_began_s",
        "_counting",
        "_receive",
        "_received",
        "_scope",
        "_send",
        "_sent",
        "ended",
        "gone",
        "status",
    )

    def __init__(self, counting: _Counting, scope: Scope, receive: Receive, send: Send) -> None:
        self._counting = counting
        self._scope = scope
        self._receive = receive
        self._send = send
        self._received = 0
        self._sent = 0
        self.status = 0
        self.ended = False
        self.gone = False
        self._began_s = perf_counter()

    # Not a coroutine: it hands on the server's own awaitable, which saves one for each message.
    def send(self, message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "http.response.body":
                self._sent += len(message.get("body", b""))
                if not message.get("more_body") and not self.ended:
                    self.end(self.status)
            elif kind == "http.response.start":
                self.status = message["status"]
            elif kind in _LAST_MESSAGES and not self.ended:
                self.end(self.status)
        except Exception:  # noqa: BLE001 - the server says what is wrong with a message
            self._counting.metrics.count_error("request")
        return self._send(message)

    async def receive(self) -> Message:
        message = await self._receive()
        try:
            if message["type"] == "http.request":
                self._received += len(message.get("body", b""))
            elif message["type"] == "http.disconnect":
                self.gone = True
        except Exception:  # noqa: BLE001 - see `send`
            self._counting.metrics.count_error("request")
        return message

    def fail(self, error: BaseException) -> None:
        """The app raised. After the last message the client had its answer, and this is no part of it."""
        if self.ended:
            return
        if not isinstance(error, Exception) or _raised_by_sending(error, self._send):
            self.gone = True
        self.end(500)

    def end(self, status: int) -> None:
        self.ended = True
        metrics = self._counting.metrics
        try:
            took_s = perf_counter() - self._began_s
            metrics.in_flight.discard(self)
            self._counting.count(self._scope, CLIENT_GONE if self.gone else status, took_s, self._received, self._sent)
        except Exception:  # noqa: BLE001 - the app must not notice us
            metrics.count_error("request")

    def labels(self) -> tuple[str, str]:
        return self._scope["method"], self._counting.template(self._scope)


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
