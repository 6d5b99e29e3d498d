"""The handler that writes the records of stdlib logging as JSON lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import islice
from threading import get_ident
from typing import Any

from trackside.sdk.logs.access import GUNICORN, UVICORN, access_fields
from trackside.sdk.logs.failures import error_of, failure
from trackside.sdk.logs.fields import CURRENT, fields_around
from trackside.sdk.logs.lines import Lines
from trackside.sdk.logs.output import Output
from trackside.sdk.traces.current import current_trace

# What every record has: all else in it came by `extra`, but for what formatters leave behind.
_OWN_FIELDS = len(vars(logging.makeLogRecord({})))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_LEVELS = {level: logging.getLevelName(level).lower() for level in (10, 20, 30, 40, 50)}
_ACCESS = frozenset((UVICORN, GUNICORN))
# A value whose text is made by code that logs is written inside of a line: once is fine, again and again is a circle.
_MAX_NESTED = 3


class Event(dict[str, Any]):
    """The message of a record that is a set of fields, as structlog has it; `str` of it is what happened."""

    def __str__(self) -> str:
        return str(self.get("event", ""))


class JsonHandler(logging.Handler):
    def __init__(self, lines: Lines, output: Output, count_error: Callable[[str], object] = lambda where: None) -> None:
        super().__init__()
        self._lines = lines
        self.output = output
        self._count_error = count_error
        self._writing: dict[int, int] = {}
        """Thread → how many lines it is in the middle of."""

    def handle(self, record: logging.LogRecord) -> bool:
        # Unlike the inherited one without the lock: a value's `__str__` may wait for a lock that another thread holds
        # while it logs. The output locks for the moment of writing.
        if self.filters:
            passed: Any = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        self.emit(record)
        return True

    def createLock(self) -> None:
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        writing, thread = self._writing, get_ident()
        depth = writing.get(thread, 0)
        if depth >= _MAX_NESTED:
            self._count_error("log within a log line")
            return
        writing[thread] = depth + 1
        try:
            about, line = self.line_of(record)
            self.output.write(record.created, about, line)
        except Exception:  # noqa: BLE001 - logging must not be what breaks the application
            self._count_error("write a log line")
        finally:
            if depth:
                writing[thread] = depth
            else:
                del writing[thread]

    def format(self, record: logging.LogRecord) -> str:
        return self.line_of(record)[1]

    def line_of(self, record: logging.LogRecord) -> tuple[tuple[str, str], str]:
        """Level and context, and the line."""
        found = error_of(record.exc_info) if record.exc_info else None
        fields, trace = fields_around(None if found is None else found[0])
        _add_fields(fields, record, trace)
        context = str(fields.pop("context")) if "context" in fields else record.name
        about = (_LEVELS.get(record.levelno) or record.levelname.lower(), context)
        failed = None
        if found is not None:
            failed = failure(*found)
        elif record.exc_text:
            failed = {"stacktrace": record.exc_text}
        if record.stack_info:
            fields["stack"] = record.stack_info
        return about, self._lines.line(record.created, about, _message(record), fields, failed)


def _add_fields(fields: dict[str, object], record: logging.LogRecord, trace: tuple[str, str] | None) -> None:
    """`trace` is that of an error; the one here counts first."""
    trace = current_trace() or trace
    if trace is not None:
        # OpenTelemetry's names for logs that are not its own.
        fields["trace_id"], fields["span_id"] = trace
    given = record.__dict__
    if len(given) > _OWN_FIELDS:
        # What was given comes after what every record has.
        for name, value in islice(given.items(), _OWN_FIELDS, None):
            if name not in _STANDARD:
                fields[name] = value  # noqa: PERF403 - half the time of a comprehension for the two or three there are
    if record.name in _ACCESS:
        fields.update(access_fields(record, CURRENT.get()))
    if isinstance(record.msg, dict):
        fields.update(record.msg)
        fields.pop("event", None)


def _message(record: logging.LogRecord) -> str:
    message = record.msg
    try:
        if isinstance(message, dict):
            return str(message.get("event", message.get("message", "")))
        return message if type(message) is str and not record.args else record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the message: what was meant is still worth a line
        return f"{_text(message)} {_text(record.args)} (the arguments do not fit the message)"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - code of the application
        return f"({type(value).__name__}: {type(error).__name__} when it was written)"
