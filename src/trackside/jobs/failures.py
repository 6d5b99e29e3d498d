"""What jobs failed with, as it may be kept and shown: messages and tracebacks without the secrets in them."""

from __future__ import annotations

from trackside.jobs.payloads import CUT
from trackside.model.secret_keys import SecretKeys
from trackside.model.secret_texts import traceback_without_secrets, without_secrets

MAX_ERROR = 500
"""Characters."""
_MAX_LINE = 4_096
"""Of a line that is looked through for secrets: what is beyond it is not shown anyway."""
_KEYS = SecretKeys()


def shown_error(line: str) -> str:
    """Looked through before it is cut: half of a secret is not recognized."""
    clean = without_secrets(line[:_MAX_LINE], _KEYS)
    return clean[:MAX_ERROR] + CUT if len(clean) > MAX_ERROR else clean


def shown_traceback(trace: str) -> str:
    return traceback_without_secrets(trace, _KEYS)


def raised_last(trace: str) -> str | None:
    """The first line after the last frames, as a message may have several."""
    lines = trace.rstrip().splitlines()
    if not lines:
        return None
    begin = max((at for at, line in enumerate(lines) if line.startswith("Traceback ")), default=-1)
    raised = next((line for line in lines[begin + 1 :] if line and not line.startswith(" ")), lines[-1])
    return shown_error(raised) or None
