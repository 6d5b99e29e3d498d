"""Carries a trace, and the id of the request it began with, in whatever a queue lets one send along.

Worker adapters put `inject_into(mapping)` on the side that sends and `continued(mapping)` on the side that runs. Both
do nothing where nothing traces and nothing is bound, and never raise for what the mapping holds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from trackside.sdk.logs.fields import CURRENT, current_fields, open_scope, remember_scope
from trackside.sdk.traces.current import current_trace
from trackside.sdk.traces.spans import NO_SPAN, span

REQUEST_ID = "x-request-id"
KEY = "trackside"
"""Of the carrier within the data of a job, which are the application's own."""
_arq_carrier: ContextVar[Any] = ContextVar("trackside_arq_carrier", default=None)
_FIELDS = ("traceparent", "tracestate", "baggage", REQUEST_ID)
_MAX_LENGTH = 8_192


def inject_into(mapping: MutableMapping[str, Any]) -> None:
    """Write `traceparent` and its kind, and the id of the request, into headers or the like."""
    propagate = _propagate()
    if propagate is not None:
        try:
            propagate.inject(mapping)
        except Exception:  # noqa: BLE001 - a job without its trace is better than no job
            mapping.pop("traceparent", None)
    own_id = current_fields().get("request_id")
    if isinstance(own_id, str):
        mapping[REQUEST_ID] = own_id


def inject() -> dict[str, str]:
    """What `inject_into` writes, to be sent along as one thinks fit."""
    carrier: dict[str, str] = {}
    inject_into(carrier)
    return carrier


@contextmanager
def continued(mapping: Mapping[str, Any] | None, name: str = "", kind: str = "CONSUMER") -> Iterator[None]:
    """What runs in the block belongs to the trace and the request that `mapping` was written in.

    With a `name` it is a span of its own. Without a trace in the mapping it begins a new one.
    """
    carrier = _valid(mapping)
    own_id = carrier.get(REQUEST_ID)
    token = open_scope({"request_id": own_id} if own_id else {})
    detach = _attach(carrier)
    try:
        with span(name, {}, kind) if name else NO_SPAN:
            yield
    except BaseException as error:
        remember_scope(error)
        raise
    finally:
        detach()
        try:
            CURRENT.reset(token)
        except ValueError:
            # Begun in another context, as generators may be: then it has ended with that context.
            CURRENT.set(None)


def _valid(mapping: Mapping[str, Any] | None) -> dict[str, str]:
    """Texts of a sane length only: what comes out of a queue may have been put there by anybody."""
    if not isinstance(mapping, Mapping):
        return {}
    found: dict[str, str] = {}
    for name in _FIELDS:
        value = mapping.get(name)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and len(value) <= _MAX_LENGTH:
            found[name] = value
    own_id = found.get(REQUEST_ID)
    if own_id is not None and not (len(own_id) <= 128 and own_id.isprintable()):
        del found[REQUEST_ID]
    return found


def _attach(carrier: Mapping[str, str]) -> Any:
    """Make the carried context the current one; what is returned takes it back."""
    propagate = _propagate() if "traceparent" in carrier else None
    if propagate is None:
        return _nothing
    running = current_trace()
    if running is not None and running[0] in carrier["traceparent"]:
        # Somebody else's instrumentation of the worker has continued it already, with a span of its own.
        return _nothing
    try:
        from opentelemetry import context  # noqa: PLC0415 - loaded already

        token = context.attach(propagate.extract(carrier))
    except Exception:  # noqa: BLE001 - a job without its trace is better than no job
        return _nothing
    return lambda: context.detach(token)


def _propagate() -> Any:
    """None where nothing traces. Who does has not always loaded it: a worker reads no headers of requests."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    try:
        from opentelemetry import propagate  # noqa: PLC0415 - nothing of it where nothing traces
    except Exception:  # noqa: BLE001 - it loads what OTEL_PROPAGATORS names, and raises when that is not installed
        return None
    return propagate


def _nothing() -> None:
    return None


# --- RQ: `job.meta` is stored with the job ------------------------------------------------------------------------


def rq_enqueued(job: Any) -> None:
    """Before RQ saves a job."""
    carrier = inject()
    if carrier:
        job.meta[KEY] = carrier


def rq_performed(job: Any) -> Any:
    """Around `perform`: `with rq_performed(job): …`."""
    return continued(job.meta.get(KEY), getattr(job, "func_name", None) or "job")


# --- Celery: headers travel with the message -----------------------------------------------------------------------


def celery_published(headers: MutableMapping[str, Any] | None) -> None:
    """From the signal `before_task_publish`."""
    carrier = inject()
    if headers is not None and carrier:
        headers[KEY] = carrier


def celery_ran(task: Any) -> Any:
    """Around a task: `with celery_ran(task): …`, or entered at `task_prerun` and left at `task_postrun`."""
    return continued(_celery_header(task.request), task.name)


def _celery_header(request: Any) -> Any:
    # Where Celery puts headers it does not know depends on its version and on the protocol of the message.
    found = getattr(request, KEY, None)
    if found is None:
        headers = getattr(request, "headers", None)
        found = headers.get(KEY) if isinstance(headers, Mapping) else None
    return found


# --- arq: what it serializes is a mapping, and a worker that does not know a key of it takes no notice ---------------


def arq_serialized(data: Any) -> Any:
    """What is serialized in the place of `data`, a job or the result of one."""
    carrier = inject() if isinstance(data, Mapping) and "k" in data else {}
    return {**data, KEY: carrier} if carrier else data


def arq_deserialized(data: Any) -> None:
    """What `arq_ran` in the same context continues."""
    _arq_carrier.set(data.get(KEY) if isinstance(data, Mapping) else None)


def arq_ran(name: str) -> Any:
    """Around a function of a worker."""
    return continued(_arq_carrier.get(), name)
