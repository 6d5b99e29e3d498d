"""Which failures have the same cause: the same kind of job, and the same error but for what differs each time."""

from __future__ import annotations

import re
from hashlib import blake2b

MAX_TEXT = 300
# Each from the outside in: an address holds digits, a quoted text may hold anything.
_VARIABLE = (
    (re.compile(r"'[^'\n]{0,200}'|\"[^\"\n]{0,200}\""), "'…'"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "…"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S{1,500}"), "…"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}\b"), "…"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{12,}\b"), "…"),
    (re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:[.,:]\d+)*"), "…"),
    (re.compile(r"\s+"), " "),
)
_FRAME = re.compile(
    r'^[ \t]{0,99}File "(?P<file>[^"\n]{1,500})", line (?P<line>\d{1,9})(?:, in (?P<function>\S{1,200}))?', re.M
)


def last_line(text: str) -> str:
    """Of a traceback: the error itself."""
    lines = text.rstrip().rsplit("\n", 1)
    return lines[-1].strip()


def last_frame(traceback: str) -> str:
    """Where it happened: "billing.py:41 in charge"; "" where the text has no frames."""
    frames = list(_FRAME.finditer(traceback))
    if not frames:
        return ""
    found = frames[-1]
    file = re.split(r"[\\/]", found["file"])[-1]
    return f"{file}:{found['line']}" + (f" in {found['function']}" if found["function"] else "")


def cause_text(error: str, traceback: str = "") -> str:
    """The error without what differs from one failure to the next."""
    # Only the last line: an error of several lines repeats a request, a query, or the traceback itself.
    text = last_line(error) or last_line(traceback) or last_frame(traceback)
    text = text[: 4 * MAX_TEXT]
    for pattern, mark in _VARIABLE:
        text = pattern.sub(mark, text)
    return text[:MAX_TEXT]


def cause(kind: str, error: str, traceback: str = "") -> str:
    """Sixteen hex digits, the same for the same cause on every machine."""
    return blake2b(f"{kind}\0{cause_text(error, traceback)}".encode(errors="replace"), digest_size=8).hexdigest()
