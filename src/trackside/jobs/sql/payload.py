"""What a job of a table was called with, as far as it can be shown: JSON, also broken or cut off, without secrets."""

from __future__ import annotations

import json
import re
from typing import Any

from trackside.jobs import payloads
from trackside.jobs.payloads import CUT, HIDDEN, IsSecret
from trackside.jobs.sql.rows import text_of

MAX_CHARACTERS = payloads.MAX_SHOWN_CHARACTERS
_MAX_DEPTH = 50
_MAX_BYTES_SHOWN = 200
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{}\[\]"]+|[\[{])')


def shown(value: Any, is_secret: IsSecret) -> Any:
    """A JSON value; text if it is none, or too long to be read."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray, memoryview)) and not _is_text(bytes(value)):
        data = bytes(value)
        return f"{len(data)} bytes, no text: {data[:_MAX_BYTES_SHOWN].hex(' ')}"
    text = text_of(value)
    if len(text) > MAX_CHARACTERS:
        return without_secrets(text[:MAX_CHARACTERS], is_secret) + CUT
    try:
        return payloads.shown(_clean_inside(json.loads(text), is_secret), is_secret)
    except (ValueError, RecursionError):
        return without_secrets(text, is_secret)


def called_with(payload: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position and by name."""
    if payload is None:
        return (), {}
    if isinstance(payload, dict):
        return (), payload
    if isinstance(payload, list):
        return tuple(payload), {}
    return (payload,), {}


def without_secrets(text: str, is_secret: IsSecret) -> str:
    """Of what looks like JSON but is broken, or ends too early. A secret that is a list or an object ends the text."""
    parts, start = [], 0
    for pair in _PAIR.finditer(text):
        if is_secret(pair[1]):
            parts += [text[start : pair.start(3)], f'"{HIDDEN}"']
            start = pair.end()
            if pair[3] in ("[", "{"):
                return "".join(parts)
    return "".join(parts) + text[start:]


def _clean_inside(value: Any, is_secret: IsSecret, depth: int = 0) -> Any:
    """With texts that hold JSON, the body of a request for one, without the secrets in them."""
    if depth > _MAX_DEPTH:
        return CUT
    if isinstance(value, dict):
        return {key: _clean_inside(inner, is_secret, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean_inside(inner, is_secret, depth + 1) for inner in value]
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return without_secrets(value, is_secret)
    clean = payloads.shown(_clean_inside(inner, is_secret, depth + 1), is_secret)
    return value if clean == inner else json.dumps(clean, ensure_ascii=False)


def _is_text(data: bytes) -> bool:
    try:
        # The end may have been cut off in the middle of a character.
        data[: len(data) - 4].decode() if len(data) > MAX_CHARACTERS else data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data
