"""Points the loggers of the process at our handler: the root's, the servers' own, warnings and what nobody caught."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from trackside.sdk.logs.handler import JsonHandler

# Servers give these handlers of their own, which write text, and do not hand their records on.
SERVERS = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "gunicorn.error",
    "gunicorn.access",
    "hypercorn.error",
    "hypercorn.access",
    "granian",
    "_granian",
    "granian.access",
    "daphne",
    "waitress",
    "celery",
    "arq",
    "rq.worker",
)
_log = logging.getLogger("trackside")


def take_over(handler: JsonHandler) -> None:
    """`handler` is the only one that writes to the terminal; handlers to files and services stay. May be done again."""
    _replace_handlers(logging.getLogger(), handler)
    # The placeholders of names nobody has asked for yet stay untouched.
    for name in SERVERS:
        logger = logging.Logger.manager.loggerDict.get(name)
        if isinstance(logger, logging.Logger):
            release(logger)
    logging.captureWarnings(True)


def release(logger: logging.Logger) -> None:
    """Lets its records through to the root. Of its handlers those to the terminal go, the others stay."""
    if any(_writes_to_terminal(known) for known in logger.handlers) or not logger.handlers:
        logger.handlers = [known for known in logger.handlers if not _writes_to_terminal(known)]
        logger.propagate = True


def _replace_handlers(root: logging.Logger, handler: JsonHandler) -> None:
    kept = [known for known in root.handlers if not (_writes_to_terminal(known) or isinstance(known, JsonHandler))]
    root.handlers = [*kept, handler]


def _writes_to_terminal(handler: logging.Handler) -> bool:
    if type(handler).__name__ == "RichHandler":
        return True
    # Only the plain kind: files are a subclass, and so is what other tools have made of it for purposes of their own.
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
        return False
    return getattr(handler, "stream", None) in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


def log_uncaught() -> None:
    """What nobody caught becomes a line too, in place of Python's many. Hooks of others still run."""
    if getattr(sys.excepthook, "_is_trackside", False):
        return
    before, before_in_threads = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        _log.critical("Uncaught exception", exc_info=(kind, error, trace))
        if before is not sys.__excepthook__:
            before(kind, error, trace)

    def hook_in_threads(args: Any) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "?"
            exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
            _log.error("Uncaught exception in thread %s", name, exc_info=exc_info)
        if before_in_threads is not threading.__excepthook__:
            before_in_threads(args)

    hook._is_trackside = True  # type: ignore[attr-defined]
    sys.excepthook, threading.excepthook = hook, hook_in_threads
