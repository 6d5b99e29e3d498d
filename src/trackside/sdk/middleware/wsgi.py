"""Counts the HTTP requests of a WSGI app, and answers the monitoring's own paths in front of it.

A request lasts until the app has handed the last byte of its answer to the server, as in ASGI. An answer that is in
memory when the app returns it ends there: what the server and the network make of it is not the app's time, and the
client's leaving in the middle of it no more to be seen than it is behind a proxy. So does a file that the server sends
by itself. Any other body is followed to its end: to its last byte where the app says the length, until the server
(which asks for more when it has sent what it had) is told that there is no more, or until it stops before that (499).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from http import HTTPStatus
from time import perf_counter

from trackside.sdk.middleware.answers import Answer, Headers, PathSet
from trackside.sdk.middleware.wsgi_requests import (
    UNKNOWN_FRAMEWORK,
    Counting,
    Environ,
    Framework,
    Request,
    StartResponse,
)
from trackside.sdk.request_metrics import RequestMetrics

__all__ = ["REQUEST", "SEEN", "App", "Environ", "StartResponse", "WsgiMiddleware", "chunks_of"]

App = Callable[[Environ, StartResponse], Iterable[bytes]]
AnswerSync = Callable[[str, str, Headers], Answer | None]
"""Of method, path and headers; None when the path is not one of ours."""

SEEN = "trackside.request_metrics"
"""Key of the environ under which it says that a request is counted, and into which metrics."""
REQUEST = "trackside.request"
"""Key of the environ under which a framework that tells finds the request."""


class WsgiMiddleware:
    """Wraps an app, alone or inside a framework's stack of middleware."""

    def __init__(
        self,
        app: App,
        metrics: RequestMetrics,
        answer: AnswerSync | None = None,
        framework: Framework = UNKNOWN_FRAMEWORK,
        answered_paths: Collection[str] = ("*",),
    ) -> None:
        """`answer` is asked on `answered_paths` (written as `excluded_paths` are; on every path, unless told), and
        where it says None the app."""
        self.app = app
        self._metrics = metrics
        self._answer = answer
        self._answered = PathSet(answered_paths if answer else ())
        self._excluded = PathSet(metrics.options.excluded_paths)
        apart = self._answered | self._excluded
        self._exact, self._prefixes = apart.exact, apart.prefixes
        self._counting = Counting(metrics, framework)
        self._tells = framework.tells

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in self._exact or (self._prefixes and path.startswith(self._prefixes)):
            if (answer := self._answered_by_us(path, environ)) is not None:
                return _send(answer, environ, start_response)
            if path in self._excluded:
                return self.app(environ, start_response)
        if environ.get(SEEN) is self._metrics:
            return self.app(environ, start_response)
        # An app inside a watched one may be watched too: the outermost counts.
        environ[SEEN] = self._metrics
        # Filled here and not by a constructor, whose call would cost as much as all of this.
        request = Request()
        request.counting = counting = self._counting
        request.environ = environ
        request.server_start = start_response
        request.template = None
        request.status = ""
        request.sent = 0
        request.ended = False
        counting.in_flight.add(request)
        request.began_s = perf_counter()
        try:
            if self._tells:
                environ[REQUEST] = request
                body = self.app(environ, start_response)
                if request.ended:
                    return body
            else:
                body = self.app(environ, request.start)
        except BaseException:
            request.end("500")
            raise
        size = counting.size_of(body)
        if size is None:
            return followed(body, request)
        request.sent += size
        request.end(request.status)
        return body

    def _answered_by_us(self, path: str, environ: Environ) -> Answer | None:
        if self._answer is None or path not in self._answered:
            return None
        try:
            return self._answer(environ.get("REQUEST_METHOD", "GET"), path, _headers(environ))
        except Exception:  # noqa: BLE001 - then the app says what there is at this path
            self._metrics.count_error("answer")
            return None


class _Body:
    """The body of an answer that is still in the making, as the server gets it."""

    # Not the request itself, which all that are in flight are known by: nobody would see that a body was forgotten.
    __slots__ = ("body", "chunks", "request")

    body: Iterable[bytes]
    chunks: Iterator[bytes]
    request: Request

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def __next__(self) -> bytes:
        # For those who take the body of an app for its own iterator, as some are.
        return next(self.chunks)

    def close(self) -> None:
        if not self.request.ended:
            self.request.abandoned()
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def followed(body: Iterable[bytes], request: Request) -> Iterable[bytes]:
    if _is_file(body, request.environ):
        # The server sends the file by itself if it gets this very object; its length is all we can know.
        request.sent = max(request.length(), 0)
        request.end(request.status)
        return body
    try:
        chunks = iter(body)
    except Exception:  # noqa: BLE001 - no body at all: the server says so
        request.end("500")
        return body
    handed_over = _Body()
    handed_over.body, handed_over.request, handed_over.chunks = body, request, chunks_of(request, chunks)
    return handed_over


def chunks_of(request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, watched for their end."""
    watched = _watched(request, chunks)
    # What has not begun does not see its end.
    next(watched)
    return watched


def _watched(request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
    # A generator, because it goes on with a chunk in a fraction of the time that a method `__next__` takes.
    try:
        yield b""
        # Not looked up before the first chunk: some apps begin their answer when they are asked for it.
        length = None
        for chunk in chunks:
            if not request.sent:
                request.first_s = perf_counter() - request.began_s
            request.sent += len(chunk)
            if length is None:
                length = request.length()
            # Not all who read a body read on to find out that there is no more: test clients stop at the last byte.
            if 0 <= length <= request.sent and not request.ended:
                request.end(request.status)
            yield chunk
    except GeneratorExit:
        # A server that forgets to close must not leave requests in flight for ever.
        if not request.ended:
            request.abandoned()
        raise
    except BaseException:
        if not request.ended:
            request.end("500")
        raise
    if not request.ended:
        request.end(request.status)


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # uWSGI's is a function that gives the file itself back.
    return wrapper is not None and hasattr(body, "read")


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
