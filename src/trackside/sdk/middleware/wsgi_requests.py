"""Requests to a WSGI app while they are being answered, and what is counted of each at its end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, MutableMapping
from time import perf_counter
from typing import Any, NamedTuple

from trackside.sdk.request_metrics import (
    BUCKETS,
    CLIENT_GONE,
    KNOWN_METHODS,
    RECEIVED,
    SENT,
    SUM,
    UNMATCHED,
    Cell,
    CellCache,
    RequestMetrics,
)

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Status = str | int
"""A code, or a whole status line."""
Key = tuple[str | None, str, Status] | tuple[str | None, str, Status, str]
"""Template, method, status, and the scheme where it matters."""
TemplateOf = Callable[[Environ], str | None]
SizeOf = Callable[[Iterable[bytes]], int | None]
"""Bytes of a body that is in memory; None of one that may still be in the making. Never raises."""

TRACE = "trackside.trace"
"""Key of the environ under which the ids of trace and span are: a request is counted when its span has been left."""
_WITHOUT_BODY = ("1", "204", "304")
_UNKNOWN_LENGTH = -1


def size_in_memory(body: Iterable[bytes]) -> int | None:
    kind = type(body)
    if kind is not list and kind is not tuple:
        return None
    try:
        return sum(map(len, body))
    except Exception:  # noqa: BLE001 - the server says what is wrong with it
        return 0


def _unmatched(environ: Environ) -> None:
    return None


class Framework(NamedTuple):
    """What can be known of an app by what it is made with."""

    template_of: TemplateOf = _unmatched
    """Asked for the path template when an answer begins, and at its end if it knew of none."""
    size_of: SizeOf = size_in_memory
    tells: bool = False
    """Whether it takes the request out of the environ (`REQUEST`), and tells it what it answers by itself."""


UNKNOWN_FRAMEWORK = Framework()


class Counting:
    """Where the requests of one middleware are counted."""

    __slots__ = (
        "bounds",
        "by_scheme",
        "cache",
        "cells",
        "in_flight",
        "lock",
        "metrics",
        "places",
        "size_of",
        "template_of",
        "wants_more",
    )

    def __init__(self, metrics: RequestMetrics, framework: Framework) -> None:
        self.metrics = metrics
        self.cache = CellCache(metrics)
        self.template_of, self.size_of = framework.template_of, framework.size_of
        # What each request needs, one look-up away.
        self.cells = self.cache.cells
        self.in_flight = metrics.in_flight
        self.bounds = metrics.bounds
        self.by_scheme = metrics.by_scheme
        self.lock = metrics.lock
        self.places = metrics.places
        self.wants_more = bool(metrics.tables.first_byte_at or metrics.tables.sizes)

    def begin(self, environ: Environ) -> Request:
        """For those who do not have to save the time of a call."""
        request = Request()
        request.counting = self
        request.environ = environ
        request.headers = ()
        request.template = None
        request.status = ""
        request.sent = 0
        request.ended = False
        self.in_flight.add(request)
        request.began_s = perf_counter()
        return request

    def cell(self, key: Key) -> Cell:
        template, method, status, *scheme = key
        code = str(status)[:3]
        cell = self.metrics.cell(method, template or UNMATCHED, code if code.isdecimal() else "500", *scheme)
        if method in KNOWN_METHODS:
            self.cache.keep(key, cell)
        return cell

    def count(self, request: Request, key: Key, took_s: float, received: int) -> None:
        """A request that takes more than one look-up and four additions."""
        # What the server gets all at once has begun when it ends, as has an answer without a body.
        first_s = getattr(request, "first_s", took_s)
        with self.lock:
            cell = self.cells.get(key) or self.cell(key)
            self.metrics.count(cell, took_s, received, request.sent, first_s, request.environ.get(TRACE))


class Request:
    """One request from its beginning to the end of its answer."""

    # Flat and with few calls: between the app's own code nothing of ours is in the processor's caches.
    __slots__ = (
        "began_s",
        "counting",
        "ended",
        "environ",
        "first_s",
        "headers",
        "sent",
        "server_start",
        "server_write",
        "status",
        "template",
    )

    counting: Counting
    environ: Environ
    server_start: StartResponse
    server_write: Callable[[bytes], object]
    began_s: float
    first_s: float
    """Missing as long as no byte of the body was there."""
    status: Status
    headers: Iterable[tuple[str, str]]
    """Of the answer."""
    template: str | None
    sent: int
    ended: bool

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        start = self.server_start
        self.server_write = start(status, headers) if exc_info is None else start(status, headers, exc_info)
        self.status = status
        self.headers = headers
        try:
            # By its end some frameworks have taken the request apart.
            self.template = self.counting.template_of(self.environ)
        except Exception:  # noqa: BLE001 - the app must not notice us
            self.template = UNMATCHED
            self.counting.metrics.count_error("request")
        return self.write

    def write(self, chunk: bytes) -> object:
        """The old way to send a body."""
        self.handed_on(chunk)
        return self.server_write(chunk)

    def handed_on(self, chunk: bytes) -> None:
        if not self.sent:
            self.first_s = perf_counter() - self.began_s
        self.sent += len(chunk)

    def abandoned(self) -> None:
        """The server wants no more. Before the end of the answer that is the client's doing."""
        complete = (
            0 <= self.length() <= self.sent
            or self.environ.get("REQUEST_METHOD") == "HEAD"
            or str(self.status).startswith(_WITHOUT_BODY)
        )
        self.end(self.status if complete else str(CLIENT_GONE))

    def length(self) -> int:
        """Of the whole answer, where the app says it."""
        try:
            for name, value in self.headers:
                if len(name) == 14 and name.lower() == "content-length":
                    return int(value)
        except Exception:  # noqa: BLE001 - the server says what is wrong with headers
            pass
        return _UNKNOWN_LENGTH

    def end(self, status: Status) -> None:
        self.ended = True
        counting = self.counting
        try:
            took_s = perf_counter() - self.began_s
            counting.in_flight.discard(self)
            environ = self.environ
            key: Key = (self.template or counting.template_of(environ), environ["REQUEST_METHOD"], status)
            if counting.by_scheme:
                key = (*key, _scheme(environ))
            length = environ.get("CONTENT_LENGTH")
            # Twelve digits are a terabyte: what is beyond was said, and not sent.
            received = int(length) if length and len(length) <= 12 and length.isdecimal() else 0
            cell = None
            if not counting.wants_more and counting.places.trace is None:
                bucket = bisect_left(counting.bounds, took_s) + BUCKETS
                # Found and changed in one go: cells move when other processes come to serve the same application.
                with counting.lock:
                    cell = counting.cells.get(key)
                    if cell is not None:
                        cell[bucket] += 1
                        cell[SUM] += took_s
                        cell[SENT] += self.sent
                        if received:
                            cell[RECEIVED] += received
            if cell is None:
                counting.count(self, key, took_s, received)
        except Exception:  # noqa: BLE001 - the app must not notice us
            counting.metrics.count_error("request")

    def labels(self) -> tuple[str, str, str]:
        template = self.template or self.counting.template_of(self.environ)
        return self.environ["REQUEST_METHOD"], template or UNMATCHED, _scheme(self.environ)


def _scheme(environ: Environ) -> str:
    return str(environ.get("wsgi.url_scheme", "http"))
