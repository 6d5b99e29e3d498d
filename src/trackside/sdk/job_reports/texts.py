"""What was raised, as texts that may leave the process: bounded, and without secrets."""

from __future__ import annotations

import re
from traceback import format_exception, format_exception_only

from trackside.sdk.scrub import Scrubber
from trackside.sdk.secret_texts import MAX_TEXT
from trackside.wire.job_reports import MAX_ERROR_BYTES, MAX_TRACEBACK_BYTES, bounded

MAX_RAW = 256 * 1024
"""Characters that are kept until they are looked through for secrets."""
_HALF_KEY = re.compile(r"\A[^-]*-----END [A-Z ]{0,40}PRIVATE KEY-----")


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
    """Cut first, since the scrubber leaves out what is beyond its own bound; where it was cut no half of a secret may
    stay that cannot be recognized any more."""
    if len(text) <= MAX_TEXT:
        return bounded(scrubber.text(text), MAX_TRACEBACK_BYTES)
    lines_at = text.find("\n", len(text) - MAX_TEXT * 3 // 4)
    head, tail = text[: MAX_TEXT // 8], text[lines_at + 1 :] if lines_at > 0 else text[-MAX_TEXT // 2 :]
    if lines_at < 0:
        # One line without an end: what its end belongs to is not known.
        return bounded(scrubber.text(text[:MAX_TEXT]), MAX_TRACEBACK_BYTES)
    tail = _HALF_KEY.sub("", tail)
    return bounded(f"{scrubber.text(head)}\n… (cut) …\n{scrubber.text(tail)}", MAX_TRACEBACK_BYTES)
