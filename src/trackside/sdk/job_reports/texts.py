"""What was raised, as texts that may leave the process: bounded, and without secrets."""

from __future__ import annotations

from traceback import format_exception, format_exception_only

from trackside.model.secret_texts import MAX_TEXT, traceback_without_secrets
from trackside.sdk.scrub import Scrubber
from trackside.wire.job_reports import MAX_ERROR_BYTES, MAX_TRACEBACK_BYTES, bounded

MAX_RAW = 256 * 1024
"""Characters that are kept until they are looked through for secrets."""


def traceback_of(error: BaseException) -> str:
    """With its causes. Never raises, whatever the error is."""
    try:
        return "".join(format_exception(error))[-MAX_RAW:]
    except Exception:  # noqa: BLE001 - an error whose parts are odd objects
        return type(error).__name__


def error_of(error: BaseException) -> str:
    """The line that a traceback ends with."""
    try:
        return "".join(format_exception_only(error)).strip()[:MAX_RAW]
    except Exception:  # noqa: BLE001 - as above
        return type(error).__name__


def clean_error(text: str, scrubber: Scrubber) -> str:
    # The scrubber looks at the beginning of a text, which is all that is wanted here.
    return bounded(scrubber.text(text[:MAX_TEXT]), MAX_ERROR_BYTES)


def clean_traceback(text: str, scrubber: Scrubber) -> str:
    return bounded(traceback_without_secrets(text, scrubber.keys), MAX_TRACEBACK_BYTES)
