"""From rows to jobs: pure, and indifferent to odd values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trackside.jobs.failures import shown_error, shown_traceback
from trackside.jobs.sql.table_map import TableMap, Times
from trackside.model.jobs import Job, JobState

_CROCKFORD = {sign: number for number, sign in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_ULID_LENGTH = 26
_ULID_TIME = 10
_MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""
_MAX_NAME = 200


def milliseconds(value: Any, times: Times) -> int | None:
    """What a database gave for a moment; None for what is none."""
    if isinstance(value, str):
        return _milliseconds_of_text(value, times)
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return _checked(number)


def stored_milliseconds(value: Any, times: Times) -> int | None:
    """The same where the value comes as it is stored, not yet in milliseconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A number where a text was expected: seconds, unless that would be beyond the year 5000.
        is_seconds = times is Times.SECONDS or (times is Times.TIMESTAMP and abs(value) < 100_000_000_000)
        return _checked(value * 1000 if is_seconds else value)
    return milliseconds(value, times)


def ulid_ms(id: str) -> int | None:
    """When an id was made, if it is a ULID."""
    if len(id) != _ULID_LENGTH:
        return None
    at_ms = 0
    for sign in id.upper():
        if sign not in _CROCKFORD:
            return None
    for sign in id.upper()[:_ULID_TIME]:
        at_ms = at_ms * 32 + _CROCKFORD[sign]
    return at_ms if at_ms <= _MAX_MS else None


def job_of(row: Mapping[str, Any], table: TableMap, at_ms: int) -> Job:
    """`row`: what the statements select, moments in milliseconds."""
    id = text_of(row["id"])
    raw_state = text_of(row["state"])
    due_ms = row["due"]
    beat_ms = row["beat"]
    lease_until_ms = row["lease_until"]
    if lease_until_ms is None and beat_ms is not None and table.lease_s:
        lease_until_ms = beat_ms + round(table.lease_s * 1000)
    return Job(
        id=id,
        kind=text_of(row["kind"])[:_MAX_NAME],
        queue=text_of(row["queue"])[:_MAX_NAME],
        state=state_of(raw_state, table, is_due=due_ms is None or due_ms <= at_ms, has_due=bool(table.due)),
        raw_state=raw_state,
        enqueued_ms=row["enqueued"] if table.enqueued else ulid_ms(id),
        due_ms=due_ms,
        started_ms=row["started"],
        finished_ms=row["finished"],
        attempt=_whole(row["attempt"]),
        max_attempts=_whole(row["max_attempts"]),
        worker=text_of(row["worker"])[:_MAX_NAME] or None,
        lease_until_ms=lease_until_ms,
        error=error_line(text_of(row["error"])) or None,
    )


def state_of(raw_state: str, table: TableMap, *, is_due: bool, has_due: bool) -> JobState:
    """A job that has a time is scheduled before it and queued after it, whatever its word is."""
    state = table.states.get(raw_state, JobState.BLOCKED)
    if has_due and state in (JobState.QUEUED, JobState.SCHEDULED):
        return JobState.QUEUED if is_due else JobState.SCHEDULED
    return state


def text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def error_line(text: str) -> str:
    """The one line of a failure that says what went wrong, without secrets."""
    # A key has many lines, none of which is known for one.
    text = shown_traceback(text).strip() if "PRIVATE KEY-----" in text else text.strip()
    if text.startswith("{"):
        text = _message_of_json(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    # Python has the message at the end of a traceback; everyone else begins with it.
    return shown_error(lines[-1] if "Traceback (most recent call last)" in text else lines[0])


def _message_of_json(text: str) -> str:
    try:
        error = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(error, dict):
        return text
    kind = error.get("exception_class") or error.get("exception_type") or error.get("type")
    message = error.get("message") or error.get("exception_message") or error.get("error") or error.get("Err")
    if isinstance(kind, str) and isinstance(message, str):
        return f"{kind}: {message}"
    return message if isinstance(message, str) else text


def _milliseconds_of_text(text: str, times: Times) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        try:
            return stored_milliseconds(float(text), times)
        except ValueError:
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return _checked(math.floor(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None


def _checked(number: float) -> int | None:
    return math.floor(number) if math.isfinite(number) and abs(number) <= _MAX_MS else None


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
