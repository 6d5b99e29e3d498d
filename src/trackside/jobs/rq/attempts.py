"""The results that RQ keeps of a job: a stream of at most ten."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.failures import raised_last, shown_traceback
from trackside.jobs.payloads import IsSecret, decoded, inflated, shown
from trackside.jobs.redis_store import text
from trackside.jobs.rq.job_hash import epoch_ms
from trackside.model.jobs import Attempt

MAX_TRACEBACK_BYTES = 256 << 10
_OUTCOMES = {"1": "succeeded", "2": "failed", "3": "cancelled", "4": "retried", "5": "failed"}
_OUT_OF_RETRIES = "5"

Stream = Sequence[tuple[bytes, Mapping[bytes, bytes]]]
"""As XREVRANGE answers: newest first."""


def attempts(stream: Stream | None) -> tuple[Attempt, ...]:
    """Oldest first. RQ keeps none of an exception that will be tried again, so that their numbers are of those kept."""
    found = []
    for number, (id, fields) in enumerate(reversed(stream or ()), start=1):
        kind = text(fields.get(b"type"))
        trace = traceback(fields)
        ended_ms = epoch_ms(fields.get(b"execution_ended_at"))
        found.append(
            Attempt(
                number=number,
                outcome=_OUTCOMES.get(kind, kind or "unknown"),
                started_ms=epoch_ms(fields.get(b"execution_started_at")),
                finished_ms=ended_ms if ended_ms is not None else _stream_ms(id),
                worker=text(fields.get(b"worker_name")) or None,
                error=raised_last(trace) or ("no retries left" if kind == _OUT_OF_RETRIES else None),
                traceback=shown_traceback(trace) or None,
            )
        )
    return tuple(found)


def failure_line(stream: Stream | None) -> tuple[str, str | None]:
    """Of the newest: which worker, and the last line of its traceback."""
    for _, fields in stream or ():
        return text(fields.get(b"worker_name")), raised_last(traceback(fields))
    return "", None


def result(stream: Stream | None, is_secret: IsSecret) -> Any:
    """What the newest success returned, as far as it can be shown."""
    for _, fields in stream or ():
        value = fields.get(b"return_value")
        if value is None or text(fields.get(b"type")) != "1":
            continue
        try:
            return shown(decoded(b64decode(value)), is_secret)
        except (ParseError, binascii.Error):
            return f"<{len(value)} bytes>"
    return None


def traceback(fields: Mapping[bytes, bytes]) -> str:
    """With all that stands in it, secrets too."""
    packed = fields.get(b"exc_string")
    if not packed:
        return ""
    try:
        return inflated(b64decode(packed), MAX_TRACEBACK_BYTES).decode("utf-8", "backslashreplace").strip()
    except (ParseError, binascii.Error) as error:
        return f"<a traceback that cannot be read: {error}>"


def _stream_ms(id: bytes) -> int | None:
    at_ms = text(id).split("-", 1)[0]
    return int(at_ms) if at_ms.isdigit() else None
