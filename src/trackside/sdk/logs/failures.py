"""An exception as fields of a line: its type and message apart, for searching, and the traceback whole."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from trackside.sdk.logs.values import shortened

MAX_STACK = 8_000
MAX_MESSAGE = 2_048
_MAX_FRAMES = 50

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def failure(error: BaseException, trace: TracebackType | None) -> dict[str, object]:
    """`{"type", "message", "stacktrace"}`, with "cause" for the type of what it was raised from."""
    fields: dict[str, object] = {"type": _name(type(error)), "message": _message(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        fields["cause"] = _name(type(cause))
    fields["stacktrace"] = _stack(error, trace)
    return fields


def error_of(exc_info: Any) -> tuple[BaseException, TracebackType | None] | None:
    """Of what `exc_info` may be given as: a triple, an exception; None when there is none."""
    if isinstance(exc_info, BaseException):
        return exc_info, exc_info.__traceback__
    if isinstance(exc_info, tuple) and len(exc_info) == 3 and isinstance(exc_info[1], BaseException):
        return exc_info[1], exc_info[2]
    return None


def _stack(error: BaseException, trace: TracebackType | None) -> str:
    try:
        # Frames are read without their source's neighbours and values: neither belongs in a log.
        summary = traceback.TracebackException(type(error), error, trace, limit=-_MAX_FRAMES, compact=True)
        text = "".join(summary.format())
    except Exception as failed:  # noqa: BLE001 - an exception whose text cannot be made
        return f"(no traceback: {type(failed).__name__} when it was written)"
    if len(text) <= MAX_STACK:
        return text
    # The end says what happened, the beginning where it came from; a chain's middle is what one can miss.
    half = MAX_STACK // 2
    return f"{text[:half]}\n… ({len(text) - MAX_STACK} characters left out)\n{text[-half:]}"


def _message(error: BaseException) -> str:
    try:
        return shortened(str(error), MAX_MESSAGE)
    except Exception as failed:  # noqa: BLE001 - the text of an exception is code of the application
        return f"({type(failed).__name__} when it was written)"


def _name(kind: type) -> str:
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
