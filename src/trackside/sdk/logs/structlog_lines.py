"""structlog's events as the same lines: a renderer for applications that use it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from trackside.sdk.logs.failures import error_of
from trackside.sdk.logs.handler import Event, JsonHandler

_LEVELS = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL", "notset": "INFO"}
_RENDERERS = frozenset(("JSONRenderer", "ConsoleRenderer", "KeyValueRenderer", "LogfmtRenderer"))
# What processors before ours may have added, and the line has by itself.
_OWN = ("timestamp", "level", "_record", "_from_structlog")


class Renderer:
    """The last processor. Of a logger that prints it makes the line; one of stdlib logging gets the event as its
    message, for our handler to write."""

    def __init__(self, handler: JsonHandler) -> None:
        self._handler = handler

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        fields = Event(event)
        exc_info = _taken_exc_info(fields)
        for name in _OWN:
            fields.pop(name, None)
        if isinstance(logger, logging.Logger):
            return (fields,), ({"exc_info": exc_info} if exc_info else {})
        level = _LEVELS.get(method, method.upper())
        context = fields.pop("logger", None) or getattr(logger, "name", None) or "structlog"
        number = logging.getLevelName(level)
        record = logging.LogRecord(
            str(context), number if isinstance(number, int) else logging.INFO, "", 0, fields, None, exc_info
        )
        about, line = self._handler.line_of(record)
        if isinstance(logger, LineLogger):
            self._handler.output.write(time.time(), about, line)
            return ""
        return line


class LineLogger:
    """What structlog writes to in place of its printing logger: the renderer has written the line already."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def msg(self, message: str) -> None:
        return None

    log = debug = info = warn = warning = error = err = exception = critical = fatal = failure = msg


def line_logger(*names: Any) -> LineLogger:
    """Makes them for structlog, with what `get_logger` is called with."""
    return LineLogger(str(names[0]) if names else None)


def connect(handler: JsonHandler, level: int) -> bool:
    """Give structlog our renderer, if the application has imported it. What else it is configured to do stays."""
    structlog: Any = sys.modules.get("structlog")
    if structlog is None:
        return False
    renderer = Renderer(handler)
    if structlog.is_configured():
        _replace_renderer(structlog, renderer)
        return True
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=line_logger,
        cache_logger_on_first_use=True,
    )
    return True


def _replace_renderer(structlog: Any, renderer: Renderer) -> None:
    processors = structlog.get_config()["processors"]
    last = processors[-1] if processors else None
    ends = type(last).__name__ in _RENDERERS or isinstance(last, Renderer) or _hands_to_stdlib(last)
    changed = [*(processors[:-1] if ends else processors), renderer]
    # In place where that is possible: loggers that were used already keep the list and would not see another.
    if isinstance(processors, list):
        processors[:] = changed
    structlog.configure(processors=processors if isinstance(processors, list) else changed)


def _hands_to_stdlib(processor: Any) -> bool:
    return getattr(processor, "__name__", "") in ("wrap_for_formatter", "render_to_log_kwargs")


def _taken_exc_info(fields: Event) -> Any:
    given = fields.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    found = error_of(given)
    return None if found is None else (type(found[0]), found[0], found[1])
