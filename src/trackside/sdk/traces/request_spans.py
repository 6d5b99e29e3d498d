"""A server span around each request of a watched application, child of what the caller's `traceparent` says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from trackside.sdk.guard import Guard
from trackside.sdk.middleware.asgi import AsgiApp, Message, Receive, Scope, Send
from trackside.sdk.middleware.routes import Templates, subject_of
from trackside.sdk.middleware.wsgi import App, Environ, StartResponse
from trackside.sdk.middleware.wsgi_requests import TRACE
from trackside.sdk.request_metrics import KNOWN_METHODS, OTHER_METHOD, UNMATCHED
from trackside.sdk.traces.spans import remember_trace

_SEEN = "trackside.span"
# Where Django's adapter leaves the template of the route.
_TEMPLATE = "trackside.template"
_WHERE = "trace a request"


class RequestSpan:
    """One request's span, which never fails the request."""

    __slots__ = ("_ended", "_guard", "_method", "_span", "_token")

    def __init__(self, guard: Guard, method: str, carrier: Mapping[str, str], attributes: dict[str, Any]) -> None:
        self._guard = guard
        self._method = method if method in KNOWN_METHODS else OTHER_METHOD
        self._ended = False
        self._span: Any = trace.INVALID_SPAN
        self._token: Any = None
        with guard.shielded(_WHERE):
            parent = propagate.extract(carrier) if carrier else None
            about = {"http.request.method": self._method, **attributes}
            tracer = trace.get_tracer("trackside")
            self._span = tracer.start_span(self._method, parent, SpanKind.SERVER, about)

    @property
    def ids(self) -> tuple[str, str] | None:
        """Of the trace and of the span, in hexadecimal."""
        context = self._span.get_span_context()
        return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None

    def enter(self) -> None:
        with self._guard.shielded(_WHERE):
            self._token = otel_context.attach(trace.set_span_in_context(self._span))

    def leave(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            with self._guard.shielded(_WHERE):
                otel_context.detach(token)

    def failed(self, error: BaseException) -> None:
        with self._guard.shielded(_WHERE):
            remember_trace(self._span)
            if not self._ended and isinstance(error, Exception):
                self._span.record_exception(error)
                self._span.set_attribute("error.type", type(error).__qualname__)
                self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"[:1_024]))

    def end(self, status: int, route: str) -> None:
        if self._ended:
            return
        self._ended = True
        with self._guard.shielded(_WHERE):
            span = self._span
            if span.is_recording():
                if route and route != UNMATCHED:
                    span.update_name(f"{self._method} {route}")
                    span.set_attribute("http.route", route)
                if status:
                    span.set_attribute("http.response.status_code", status)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.set_status(Status(StatusCode.ERROR))
            span.end()


def asgi_layer(guard: Guard) -> Callable[[AsgiApp], AsgiApp]:
    return lambda app: AsgiRequestSpans(app, guard)


def wsgi_layer(guard: Guard) -> Callable[[App], App]:
    return lambda app: WsgiRequestSpans(app, guard)


class AsgiRequestSpans:
    def __init__(self, app: AsgiApp, guard: Guard) -> None:
        self.app = app
        self._guard = guard
        self._templates = Templates()
        self._fields = {name.lower().encode(): name for name in propagate.get_global_textmap().fields}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _SEEN in scope or _traced_by_another(scope):
            await self.app(scope, receive, send)
            return
        scope[_SEEN] = True
        method = scope.get("method", "GET")
        span = RequestSpan(self._guard, method, self._carrier(scope), _asgi_attributes(scope))
        status = 0

        def send_and_see(message: Message) -> Awaitable[None]:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
            elif kind == "http.response.body" and not message.get("more_body"):
                # Not when the application returns: what it does after the answer nobody waits for.
                span.end(status, self._route(scope))
            return send(message)

        span.enter()
        try:
            await self.app(scope, receive, send_and_see)
        except BaseException as error:
            span.failed(error)
            status = status or 500 if scope["type"] == "http" else status
            raise
        finally:
            span.leave()
            span.end(status, self._route(scope))

    def _carrier(self, scope: Scope) -> dict[str, str]:
        fields = self._fields
        return {fields[name]: str(value, "latin-1") for name, value in scope["headers"] if name in fields}

    def _route(self, scope: Scope) -> str:
        route = ""
        with self._guard.shielded(_WHERE):
            route = self._templates.template(scope, subject_of(scope))
        return route


def _traced_by_another(scope: Scope) -> bool:
    """FastAPI's own telemetry, or an instrumentation of OpenTelemetry's: they make the same span."""
    telemetry = scope.get("fastapi.telemetry")
    if telemetry is not None and getattr(telemetry, "span", None) is not None:
        return True
    if getattr(scope.get("app"), "_is_instrumented_by_opentelemetry", False):
        return True
    return _in_server_span()


def _in_server_span() -> bool:
    return getattr(trace.get_current_span(), "kind", None) is SpanKind.SERVER


def _asgi_attributes(scope: Scope) -> dict[str, Any]:
    attributes: dict[str, Any] = {"url.path": scope["path"], "url.scheme": scope.get("scheme", "http")}
    if scope.get("client"):
        attributes["client.address"] = str(scope["client"][0])
    return attributes


class WsgiRequestSpans:
    def __init__(self, app: App, guard: Guard) -> None:
        self.app = app
        self._guard = guard
        self._fields = {
            f"HTTP_{name.upper().replace('-', '_')}": name for name in propagate.get_global_textmap().fields
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if _SEEN in environ or _in_server_span():
            return self.app(environ, start_response)
        environ[_SEEN] = True
        carrier = {name: environ[key] for key, name in self._fields.items() if key in environ}
        attributes = {"url.path": environ.get("PATH_INFO", ""), "url.scheme": environ.get("wsgi.url_scheme", "http")}
        span = RequestSpan(self._guard, environ.get("REQUEST_METHOD", "GET"), carrier, attributes)
        answer = _Answer(span, environ)
        environ[TRACE] = span.ids

        def start_and_see(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            answer.begin(status)
            return start_response(status, headers, *exc_info)

        span.enter()
        try:
            body = self.app(environ, start_and_see)
        except BaseException as error:
            answer.failed(error)
            raise
        finally:
            span.leave()
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, list | tuple) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
            # Nothing of the application is to come.
            answer.end()
            return body
        answer.body = body
        return answer


def _wsgi_route(environ: Environ) -> str:
    # Flask's is in the request that Werkzeug leaves in the environ.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return str(environ.get(_TEMPLATE) or getattr(rule, "rule", ""))


class _Answer:
    """A body that is still being made: within the span until its end."""

    __slots__ = ("_chunks", "_environ", "_route", "_span", "body", "status")

    def __init__(self, span: RequestSpan, environ: Environ) -> None:
        self._span = span
        self._environ = environ
        self._chunks: Iterator[bytes] | None = None
        self.body: Iterable[bytes] = ()
        self.status = 0
        self._route = ""

    def begin(self, status: str) -> None:
        self.status = int(status[:3]) if status[:3].isdecimal() else 0
        # Flask forgets its request at the end.
        self._route = _wsgi_route(self._environ)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._span.enter()
        try:
            if self._chunks is None:
                self._chunks = iter(self.body)
            return next(self._chunks)
        except StopIteration:
            self.end()
            raise
        except BaseException as error:
            self.failed(error)
            raise
        finally:
            self._span.leave()

    def failed(self, error: BaseException) -> None:
        self._span.failed(error)
        self.status = 500
        self.end()

    def end(self) -> None:
        self._span.end(self.status, self._route or _wsgi_route(self._environ))

    def close(self) -> None:
        close = getattr(self.body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self.end()
