"""What watched clients did, as spans of the trace they did it in: queries, calls over HTTP, questions to a model.

The adapters know of a thing when it is over and how long it took; so that is when its span is made, with a beginning in
the past. Nothing happens unless `monitor.traces()` is on and there is a span around.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from time import time_ns
from typing import Any, Literal

Of = Literal["db", "http", "ai", "call"]

# Instrumentations that make the same spans: who has imported one means it.
_OTHERS: dict[str, tuple[str, ...]] = {
    "db": ("sqlalchemy", "psycopg", "psycopg2", "asyncpg", "redis"),
    "http": ("httpx", "requests", "aiohttp_client", "urllib3"),
    "ai": ("openai", "openai_v2", "anthropic"),
    "call": (),
}


def traces_are_on() -> bool:
    provider = sys.modules.get("trackside.sdk.traces.provider")
    return provider is not None and provider.is_on()


def finished(of: Of, name: str, took_s: float, attributes: dict[str, Any], error: str = "") -> None:
    """A span of the current trace that began `took_s` seconds ago and ends now. `error` is a kind, "" is none.

    Never raises.
    """
    if not traces_are_on():
        return
    try:
        trace: Any = sys.modules["opentelemetry.trace"]
        # Without a span around it would be a trace of its own, for each query of a poller.
        if not trace.get_current_span().is_recording() or _by_another(of):
            return
        ended_ns = time_ns()
        began_ns = ended_ns - int(took_s * 1e9)
        kind = trace.SpanKind.CLIENT
        given = {key: value for key, value in attributes.items() if value not in (None, "")}
        span = trace.get_tracer("trackside").start_span(name, kind=kind, attributes=given, start_time=began_ns)
        if error:
            span.set_attribute("error.type", error)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end(ended_ns)
    except Exception:  # noqa: BLE001 - a part of a trace is missing, and the application must not notice
        return


def send_trace(headers: MutableMapping[str, str]) -> None:
    """Put the current trace into the headers of a request, unless somebody has. Never raises."""
    if not traces_are_on():
        return
    try:
        if "traceparent" not in headers:
            from trackside.sdk.traces.carriers import inject_into  # noqa: PLC0415 - only where something traces

            inject_into(headers)
    except Exception:  # noqa: BLE001 - headers that take nothing: the call is made without
        return


def _by_another(of: Of) -> bool:
    return any(f"opentelemetry.instrumentation.{name}" in sys.modules for name in _OTHERS[of])
