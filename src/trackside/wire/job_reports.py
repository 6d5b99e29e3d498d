"""Reports of job attempts as they travel from hooks to a server: JSON, one object for each attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from trackside.exceptions import ParseError
from trackside.model.cheap_typing import NamedTuple
from trackside.model.jobs import JobReport

PATH = "/api/v1/jobs/reports"
MAX_REPORTS = 1_000
"""In one request."""
MAX_NAME = 1_000
"""Characters of an id or a name."""
MAX_ERROR_BYTES = 4 * 1024
MAX_TRACEBACK_BYTES = 64 * 1024
OUTCOMES = ("succeeded", "failed", "retried", "cancelled", "lost")
_CUT = "… (cut) …"
_MAX_WHOLE = 2**53
_FIRST_MS = 946_684_800_000
"""The year 2000: what is before it is in seconds."""

Kind = Callable[[Any], str]
"""What is wrong with a value; "" when nothing is."""


class Wrong(NamedTuple):
    """A report that makes no sense."""

    place: int
    """In the request."""
    reason: str


class Parsed(NamedTuple):
    reports: list[tuple[int, JobReport]]
    """With their places in the request."""
    wrong: list[Wrong]
    notes: list[str]
    """What was changed in those that were taken."""


def encoded(report: JobReport) -> bytes:
    """One object. What a report does not say, or what no receiver would take, is left out."""
    said = {
        name: value
        for name, reason_against in _KINDS.items()
        if (value := getattr(report, name)) not in (None, "") and not reason_against(value)
    }
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()


def body_of(reports: Iterable[bytes]) -> bytes:
    return b'{"reports":[' + b",".join(reports) + b"]}"


def parsed(body: bytes) -> Parsed:
    """
    Raises:
        ParseError: nothing of it can be taken; the text says what is expected.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ParseError(f"the body is not JSON: {reason[:200]}") from error
    told = value.get("reports") if isinstance(value, dict) else None
    if not isinstance(told, list):
        raise ParseError('expected an object with a list: {"reports": [{"source": …, "id": …, "kind": …}, …]}')
    if len(told) > MAX_REPORTS:
        raise ParseError(f"{len(told):,} reports in one request; at most {MAX_REPORTS:,} are taken")
    found = Parsed([], [], [])
    for index, one in enumerate(told):
        reason = _reason_against(one)
        if reason:
            found.wrong.append(Wrong(index, reason))
        else:
            found.reports.append((index, _report(one, index, found.notes)))
    return found


def bounded(text: str, max_bytes: int) -> str:
    """`text`, or whole lines of its beginning and its end, where it is longer than that in UTF-8."""
    encoded_text = text.encode("utf-8", "replace")
    if len(encoded_text) <= max_bytes:
        return encoded_text.decode()
    room = max_bytes - len(_CUT.encode()) - 2
    # The end of a traceback says what was raised, and where.
    head = encoded_text[: room // 4]
    tail = encoded_text[len(encoded_text) - (room - len(head)) :]
    head, tail = _up_to_line(head), _from_line(tail)
    return f"{head.decode('utf-8', 'ignore')}\n{_CUT}\n{tail.decode('utf-8', 'ignore')}"


def _up_to_line(head: bytes) -> bytes:
    end = head.rfind(b"\n")
    return head[:end] if end > 0 else head


def _from_line(tail: bytes) -> bytes:
    begin = tail.find(b"\n")
    # A single line longer than all the room: its end is better than nothing.
    return tail[begin + 1 :] if 0 <= begin < len(tail) - 1 else tail


def _report(one: dict[str, Any], index: int, notes: list[str]) -> JobReport:
    given = {name: value for name, value in one.items() if value is not None and name in _KINDS}
    for name, max_bytes in (("error", MAX_ERROR_BYTES), ("traceback", MAX_TRACEBACK_BYTES)):
        text = given.get(name)
        if text is not None and len(text.encode("utf-8", "replace")) > max_bytes:
            given[name] = bounded(text, max_bytes)
            notes.append(f"reports[{index}].{name} was cut to {max_bytes:,} bytes")
    return JobReport(**{"kind": "", **given})


def _reason_against(one: Any) -> str:
    if not isinstance(one, dict):
        return f"expected an object, got {_shown(one)}"
    for name in ("source", "id"):
        if not isinstance(one.get(name), str) or not one[name]:
            return f"{name}: expected a text, got {_shown(one.get(name))}"
    for name, value in one.items():
        kind = _KINDS.get(name)
        # A newer hook may say more than we know.
        reason = kind(value) if kind is not None and value is not None else ""
        if reason:
            return f"{name}: expected {reason}, got {_shown(value)}"
    return ""


def _name(value: Any) -> str:
    return "" if isinstance(value, str) and len(value) <= MAX_NAME else f"a text of at most {MAX_NAME:,} characters"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "a text"


def _outcome(value: Any) -> str:
    return "" if isinstance(value, str) and value in OUTCOMES else "one of " + ", ".join(OUTCOMES)


def _whole(value: Any) -> str:
    return "" if _is_whole(value) and 0 <= value < _MAX_WHOLE else "a whole number, 0 or more"


def _time(value: Any) -> str:
    return "" if _is_whole(value) and _FIRST_MS <= value < _MAX_WHOLE else "whole milliseconds since 1970"


def _amount(value: Any) -> str:
    numeric = (isinstance(value, float) and isfinite(value)) or (_is_whole(value) and value < _MAX_WHOLE)
    return "" if numeric and value >= 0 else "a number, 0 or more"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    # What is nested may be nested as deeply as we can read, which is deeper than we can write.
    return type(value).__name__ + ("" if isinstance(value, list | dict) else f" {str(value)[:40]!r}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


_KINDS: dict[str, Kind] = {
    "source": _name,
    "id": _name,
    "kind": _name,
    "queue": _name,
    "attempt": _whole,
    "outcome": _outcome,
    "enqueued_ms": _time,
    "due_ms": _time,
    "started_ms": _time,
    "finished_ms": _time,
    "run_s": _amount,
    "worker": _name,
    "error": _text,
    "traceback": _text,
    "cost_usd": _amount,
    "tokens": _whole,
    "cpu_s": _amount,
    "peak_memory_bytes": _whole,
    "trace_id": _name,
    "backend": _name,
    "request_id": _name,
}
