"""What Celery sends through Redis: tasks, events and results, as it writes them in JSON."""

from __future__ import annotations

import ast
import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trackside.jobs.failures import shown_error

MAX_MESSAGE_BYTES = 1 << 20
MAX_TEXT = 1_000
MAX_TRACEBACK = 16_000
_MAX_REPR = 4_000
_MAX_NUMBER = 1e12


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task on its way to a worker."""

    id: str
    kind: str
    queue: str = ""
    due_ms: int | None = None
    """Of its countdown, or of the back-off before its next attempt."""
    retries: int = 0
    priority: int = 0
    parent: str = ""
    origin: str = ""
    args: Any = None
    kwargs: Any = None
    """Of another serializer than JSON: what Celery says of them, as text."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a worker or a producer says."""

    type: str
    host: str
    at_ms: int | None
    """By its own clock."""
    fields: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str, limit: int = MAX_TEXT) -> str:
        value = self.fields.get(name)
        return "" if value is None else str(value)[:limit]

    def number(self, name: str) -> float | None:
        """None: it is none, or one that nothing can be counted with."""
        value = self.fields.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return value if abs(value) < _MAX_NUMBER else None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What the result back-end keeps of a task."""

    id: str
    status: str
    ended_ms: int | None
    result: Any
    traceback: str
    error: str
    more: Mapping[str, Any]
    """`name`, `args`, `kwargs`, `worker`, `queue`, `retries`: with `result_extended`."""


@dataclass(frozen=True, slots=True)
class ActiveTask:
    """What a worker says it runs, when it is asked."""

    id: str
    kind: str
    queue: str
    started_ms: int | None
    """By the worker's clock."""
    args: Any
    kwargs: Any


def task_message(raw: bytes, queue: str = "") -> TaskMessage | None:
    """Of an item of a queue's list. None: it is no task, or larger than is looked at."""
    envelope = _object(raw)
    return None if envelope is None else _task(envelope, queue)


def fetched_message(raw: bytes) -> TaskMessage | None:
    """Of an item of `unacked`: the envelope, its exchange and its queue."""
    found = _json(raw)
    if not isinstance(found, list) or len(found) != 3 or not isinstance(found[0], dict):
        return None
    return _task(found[0], found[2] if isinstance(found[2], str) else "")


def _task(envelope: dict[str, Any], queue: str) -> TaskMessage | None:
    headers, properties = _dict(envelope.get("headers")), _dict(envelope.get("properties"))
    body = _body(envelope)
    if not headers.get("task") and isinstance(body, dict):
        # The first protocol had everything in the body.
        headers, body = body, [body.get("args"), body.get("kwargs")]
    id, kind = headers.get("id"), headers.get("task")
    if not isinstance(id, str) or not isinstance(kind, str):
        return None
    is_call = isinstance(body, list) and len(body) >= 2
    retries, priority = headers.get("retries"), properties.get("priority")
    return TaskMessage(
        id=id[:200],
        kind=kind[:200],
        queue=queue or str(_dict(properties.get("delivery_info")).get("routing_key") or ""),
        due_ms=iso_ms(headers.get("eta")),
        retries=retries if isinstance(retries, int) else 0,
        priority=priority if isinstance(priority, int) else 0,
        parent=str(headers.get("parent_id") or ""),
        origin=str(headers.get("origin") or "")[:200],
        args=body[0] if is_call else literal(headers.get("argsrepr")),
        kwargs=body[1] if is_call else literal(headers.get("kwargsrepr")),
    )


def events(raw: bytes) -> tuple[Event, ...]:
    """Of one message; workers send several at once. Empty: it is none."""
    envelope = _object(raw)
    body = None if envelope is None else _body(envelope)
    found = body if isinstance(body, list) else [body]
    return tuple(
        Event(str(one["type"]), str(one.get("hostname") or "")[:200], seconds_ms(one.get("timestamp")), one)
        for one in found
        if isinstance(one, dict) and isinstance(one.get("type"), str)
    )


def opened(raw: bytes) -> tuple[dict[str, Any], Any]:
    """Headers and body of any message."""
    envelope = _object(raw) or {}
    return _dict(envelope.get("headers")), _body(envelope)


def task_result(raw: bytes | None, id: str = "") -> TaskResult | None:
    found = _object(raw or b"")
    if found is None or not isinstance(found.get("status"), str):
        return None
    trace = found.get("traceback")
    result = found.get("result")
    return TaskResult(
        id=str(found.get("task_id") or id)[:200],
        status=found["status"][:50],
        ended_ms=iso_ms(found.get("date_done")),
        result=result,
        traceback=trace[-MAX_TRACEBACK:] if isinstance(trace, str) else "",
        error=_exception(result),
        more=found,
    )


def _exception(result: Any) -> str:
    if not isinstance(result, dict) or not isinstance(result.get("exc_type"), str):
        return ""
    said = result.get("exc_message")
    text = ", ".join(map(str, said[:20])) if isinstance(said, list) else str(said or "")
    return shown_error(f"{result['exc_type']}: {text}" if text else result["exc_type"])


def _body(envelope: Mapping[str, Any]) -> Any:
    """None where it is no JSON: pickles are not opened here, their representation is in the headers."""
    body = envelope.get("body")
    is_json = "json" in str(envelope.get("content-type") or "")
    if not isinstance(body, str) or not is_json:
        return None
    if _dict(envelope.get("properties")).get("body_encoding") != "base64":
        return _json(body.encode("utf-8", "surrogatepass"))
    try:
        return _json(b64decode(body))
    except (binascii.Error, ValueError):
        return None


def literal(text: Any) -> Any:
    """A representation such as "(1, {'a': 2})", as values, so that secrets in it can be seen; else as it is."""
    if not isinstance(text, str) or len(text) > _MAX_REPR:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        # With objects inside. What is in it cannot be told apart, secrets included.
        return None


def _object(raw: bytes) -> dict[str, Any] | None:
    found = _json(raw)
    return found if isinstance(found, dict) else None


def _json(raw: bytes) -> Any:
    if len(raw) > MAX_MESSAGE_BYTES:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def iso_ms(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def seconds_ms(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value * 1000) if is_number and 0 <= value < 1e11 else None
