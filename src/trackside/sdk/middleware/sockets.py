"""What is counted of an ASGI app's WebSockets: connections, messages, how long they lasted and how they closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from trackside.instruments.counter import Counter, CounterChild
from trackside.instruments.gauge import Gauge, GaugeChild
from trackside.instruments.histogram import Histogram
from trackside.sdk.request_metrics import RequestMetrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DURATION_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
REFUSED = "refused"
"""In the place of a close code, when the app never accepted the connection."""
ABNORMAL = 1006
"""The code of a connection that ended without one: the client vanished, the app raised."""
_MAX_CODES = 50
_OTHER = "other"


class Sockets:
    """Of one middleware. The families are made with the first connection: who has none shows none."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self._metrics = metrics
        self._families: Families | None = None

    async def serve(
        self, app: App, scope: Scope, receive: Receive, send: Send, template_of: Callable[[Scope], str]
    ) -> None:
        families = self._made()
        if families is None:
            await app(scope, receive, send)
            return
        connection = _Connection(families, scope, receive, send, template_of)
        code = ABNORMAL
        try:
            await app(scope, connection.receive, connection.send)
            code = connection.code or ABNORMAL
        finally:
            connection.end(connection.code or code)

    def _made(self) -> Families | None:
        if self._families is None:
            try:
                self._families = Families(self._metrics)
            except ValueError:
                # The application has taken a name for something else: its own stays.
                self._metrics.count_error("websockets")
        return self._families


class Families:
    """
    Raises:
        ValueError: a name is taken by something else.
    """

    def __init__(self, metrics: RequestMetrics) -> None:
        registry, options = metrics.registry, metrics.options
        path = (options.path_label,)

        def counter(name: str, help: str, *more: str) -> Counter:
            return registry.counter(f"{options.prefix}websocket_{name}", help, (*path, *more))

        self.count_error = metrics.count_error
        self.connections = counter("connections_total", "WebSocket connections accepted.")
        self.closed = counter("connections_closed_total", "WebSocket connections that ended, by close code.", "code")
        self.received = counter("messages_received_total", "WebSocket messages from clients.")
        self.sent = counter("messages_sent_total", "WebSocket messages to clients.")
        self.open: Gauge = registry.gauge(
            options.prefix + options.open_sockets, "WebSocket connections that are open.", path
        )
        self.durations: Histogram = registry.histogram(
            f"{options.prefix}websocket_connection_duration_seconds",
            "How long WebSocket connections lasted.",
            path,
            buckets=DURATION_BUCKETS,
        )
        self._codes: set[int] = set()

    def code(self, code: int) -> str:
        """As a label. Applications have codes of their own, and clients may send any: a bounded number of them."""
        if code not in self._codes:
            if not 1000 <= code < 5000 or len(self._codes) >= _MAX_CODES:
                return _OTHER
            self._codes.add(code)
        return str(code)


class _Connection:
    __slots__ = (
        "_began_s",
        "_families",
        "_open",
        "_path",
        "_receive",
        "_received",
        "_scope",
        "_send",
        "_sent",
        "_template_of",
        "code",
    )

    def __init__(
        self,
        families: Families,
        scope: Scope,
        receive: Receive,
        send: Send,
        template_of: Callable[[Scope], str],
    ) -> None:
        self._families = families
        self._scope = scope
        self._receive = receive
        self._send = send
        self._template_of = template_of
        self._began_s = perf_counter()
        self._path = ""
        self._open: GaugeChild | None = None
        self._received: CounterChild | None = None
        self._sent: CounterChild | None = None
        self.code = 0
        """Why it closed; 0 while it has not."""

    async def receive(self) -> Message:
        message = await self._receive()
        try:
            if message["type"] == "websocket.receive":
                if self._received is not None:
                    self._received.inc()
            elif message["type"] == "websocket.disconnect" and not self.code:
                self.code = int(message.get("code") or ABNORMAL)
        except Exception:  # noqa: BLE001 - the app says what is wrong with a message
            self._families.count_error("websockets")
        return message

    def send(self, message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "websocket.send":
                if self._sent is not None:
                    self._sent.inc()
            elif kind == "websocket.accept":
                self._accepted()
            elif kind == "websocket.close" and not self.code:
                self.code = int(message.get("code") or 1000)
        except Exception:  # noqa: BLE001 - the server says what is wrong with a message
            self._families.count_error("websockets")
        return self._send(message)

    def end(self, code: int) -> None:
        try:
            families = self._families
            if self._open is None:
                families.closed.labels(self._template_of(self._scope), REFUSED).inc()
                return
            self._open.dec()
            families.closed.labels(self._path, families.code(code)).inc()
            families.durations.labels(self._path).observe(perf_counter() - self._began_s)
        except Exception:  # noqa: BLE001 - the app must not notice us
            self._families.count_error("websockets")

    def _accepted(self) -> None:
        # By now the router has left in the scope what it found.
        if self._open is not None:
            return
        families, path = self._families, self._template_of(self._scope)
        self._path = path
        self._received, self._sent = families.received.labels(path), families.sent.labels(path)
        families.connections.labels(path).inc()
        families.open.labels(path).inc()
        self._open = families.open.labels(path)
