"""Counts the HTTP requests of a WSGI app, and answers the monitoring's own paths in front of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import Any

from trackside.sdk.middleware.answers import Answer, Headers, PathSet
from trackside.sdk.request_metrics import CLIENT_GONE, KNOWN_METHODS, UNMATCHED, CellCache, RequestMetrics

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
AnswerSync = Callable[[str, str, Headers], Answer | None]
"""Of method, path and headers; None when the path is not one of ours."""
TemplateOf = Callable[[Environ], str | None]

_SEEN = "trackside.request_metrics"
_WITHOUT_BODY = ("1", "204", "304")
_UNKNOWN_LENGTH = -1


class WsgiMiddleware:
    """Wraps an app, alone or inside a framework's stack of middleware."""

    def __init__(
        self,
        app: App,
        metrics: RequestMetrics,
        answer: AnswerSync | None = None,
        template_of: TemplateOf | None = None,
        answered_paths: Collection[str] = ("*",),
    ) -> None:
        """`template_of` is asked for the path template at the end of a request. `answer` is asked on `answered_paths`
        (written as `excluded_paths` are; on every path, unless told), and where it says None the app."""
        self.app = app
        self._metrics = metrics
        self._answer = answer
        self._answered = PathSet(answered_paths if answer else ())
        self._excluded = PathSet(metrics.options.excluded_paths)
        apart = self._answered | self._excluded
        self._exact, self._prefixes = apart.exact, apart.prefixes
        self._counting = _Counting(metrics, template_of)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in self._exact or path.startswith(self._prefixes):
            answer = self._answered_by_us(path, environ)
            if answer is not None:
                return _send(answer, environ, start_response)
            if path in self._excluded:
                return self.app(environ, start_response)
        if environ.get(_SEEN) is self._metrics:
            return self.app(environ, start_response)
        # An app inside a watched one may be watched too: the outermost counts.
        environ[_SEEN] = self._metrics
        request = _Request(self._counting, environ, start_response)
        self._metrics.in_flight.add(request)
        try:
            body = self.app(environ, request.start)
        except BaseException:
            request.end("500")
            raise
        return _counted(body, request, environ)

    def _answered_by_us(self, path: str, environ: Environ) -> Answer | None:
        if self._answer is None or path not in self._answered:
            return None
        try:
            return self._answer(environ.get("REQUEST_METHOD", "GET"), path, _headers(environ))
        except Exception:  # noqa: BLE001 - then the app says what there is at this path
            self._metrics.count_error("answer")
            return None


class _Counting:
    """Where the requests of one middleware are counted."""

    __slots__ = ("cache", "metrics", "template_of")

    def __init__(self, metrics: RequestMetrics, template_of: TemplateOf | None) -> None:
        self.metrics = metrics
        self.cache = CellCache(metrics)
        self.template_of = template_of

    def template(self, environ: Environ) -> str:
        return (self.template_of and self.template_of(environ)) or UNMATCHED

    def count(self, environ: Environ, status: str, took_s: float, sent: int) -> None:
        """`status` may be a whole status line."""
        template = self.template(environ)
        method = environ["REQUEST_METHOD"]
        key = (template, method, status)
        cell = self.cache.cells.get(key)
        if cell is None:
            code = status[:3]
            cell = self.metrics.cell(method, template, code if code.isdecimal() else "500")
            if method in KNOWN_METHODS:
                self.cache.keep(key, cell)
        length = environ.get("CONTENT_LENGTH")
        received = int(length) if length and length.isdecimal() else 0
        self.metrics.count(cell, took_s, received, sent)


class _Request:
    """One request from its beginning to the last byte of its answer."""

    __slots__ = ("_began_s", "_counting", "_environ", "_start_response", "_write", "ended", "length", "sent", "status")

    def __init__(self, counting: _Counting, environ: Environ, start_response: StartResponse) -> None:
        self._counting = counting
        self._environ = environ
        self._start_response = start_response
        self._write: Callable[[bytes], object] | None = None
        self.status = ""
        self.length = _UNKNOWN_LENGTH
        """Of the whole answer, where the app says it."""
        self.sent = 0
        self.ended = False
        self._began_s = perf_counter()

    def start(self, status: str, headers: list[tuple[str, str]], *exc_info: object) -> Callable[[bytes], object]:
        self._write = self._start_response(status, headers, *exc_info)
        try:
            self.status = status
            self.length = _UNKNOWN_LENGTH
            for name, value in headers:
                if len(name) == 14 and name.lower() == "content-length":
                    self.length = int(value)
        except Exception:  # noqa: BLE001 - the server says what is wrong with headers
            self._counting.metrics.count_error("request")
        return self.write

    def write(self, chunk: bytes) -> object:
        """The old way to send a body."""
        self.sent += len(chunk)
        return self._write(chunk) if self._write is not None else None

    def close(self) -> None:
        """The server wants no more. Before the end of the answer that is the client's doing."""
        if self.ended:
            return
        complete = (
            0 <= self.length <= self.sent
            or self._environ.get("REQUEST_METHOD") == "HEAD"
            or self.status.startswith(_WITHOUT_BODY)
        )
        self.end(self.status if complete else str(CLIENT_GONE))

    def end(self, status: str) -> None:
        self.ended = True
        metrics = self._counting.metrics
        try:
            took_s = perf_counter() - self._began_s
            metrics.in_flight.discard(self)
            self._counting.count(self._environ, status, took_s, self.sent)
        except Exception:  # noqa: BLE001 - the app must not notice us
            metrics.count_error("request")

    def labels(self) -> tuple[str, str]:
        return self._environ["REQUEST_METHOD"], self._counting.template(self._environ)


class _Body:
    """The body of an answer: hands it on and sees its end, wherever the server stops."""

    __slots__ = ("_body", "_chunks", "_request")

    def __init__(self, body: Iterable[bytes], chunks: Iterator[bytes], request: _Request) -> None:
        self._body = body
        self._chunks = chunks
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request = self._request
        try:
            chunk = next(self._chunks)
        except StopIteration:
            if not request.ended:
                request.end(request.status)
            raise
        except BaseException:
            if not request.ended:
                request.end("500")
            raise
        request.sent += len(chunk)
        # Not all who read a body read on to find out that there is no more: test clients stop at the last byte.
        if 0 <= request.length <= request.sent and not request.ended:
            request.end(request.status)
        return chunk

    def close(self) -> None:
        self._request.close()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        # A server that forgets to close must not leave requests in flight for ever.
        self._request.close()


class _SizedBody(_Body):
    """Of a list: servers tell from a length of 1 that they need not ask for more."""

    __slots__ = ("_size",)

    def __init__(self, body: Iterable[bytes], chunks: Iterator[bytes], request: _Request) -> None:
        super().__init__(body, chunks, request)
        self._size = len(body) if isinstance(body, list | tuple) else 0

    def __len__(self) -> int:
        return self._size


def _counted(body: Iterable[bytes], request: _Request, environ: Environ) -> Iterable[bytes]:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # The server sends the file by itself if it gets this very object; its length is all we can know.
        request.sent = max(request.length, 0)
        request.end(request.status)
        return body
    try:
        chunks = iter(body)
    except Exception:  # noqa: BLE001 - no body at all: the server says so
        request.end("500")
        return body
    return (_SizedBody if isinstance(body, list | tuple) else _Body)(body, chunks, request)


def _send(answer: Answer, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    headers = list(answer.headers)
    if not any(name.lower() == "content-length" for name, _ in headers):
        headers.append(("content-length", str(len(answer.body))))
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    start_response(f"{answer.status} {phrase}", headers)
    return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else answer.body]


def _headers(environ: Environ) -> Headers:
    return {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
