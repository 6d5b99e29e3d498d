"""Takes secrets out of data that leaves the process: by key at any depth, by form in any text, with their echoes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from trackside.model.secret_keys import SecretKeys, is_secret_pair, names_secret_value
from trackside.model.secret_texts import FILTERED, MAX_TEXT, without_secrets

__all__ = ["FILTERED", "Scrubber"]

MAX_DEPTH = 60
_MIN_ECHO = 6
"""Characters of a secret that is looked for elsewhere: "1234" is part of half of all numbers."""
_MAX_ECHOES = 200
# Fixed words of the protocol, which mean something to the receiver: a password "warning" is no reason to change them.
_PROTOCOL = frozenset(
    [
        "event_id",
        "trace_id",
        "span_id",
        "parent_span_id",
        "segment_id",
        "level",
        "platform",
        "type",
        "op",
        "origin",
        "status",
        "timestamp",
        "start_timestamp",
        "release",
        "environment",
        "sdk",
        "version",
        "lineno",
        "colno",
        "in_app",
        "handled",
    ]
)
# Bodies that say nothing of their keys are left out whole.
_BODY_PATHS = (("request", "data"), ("request", "body"))


class Scrubber:
    def __init__(self, keys: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        """`keys` name secrets besides the usual ones, `allowed` name none. Case, dashes and dots do not matter."""
        self.keys = SecretKeys(keys, allowed)

    def text(self, text: str) -> str:
        return without_secrets(text, self.keys)

    def value(self, value: Any) -> Any:
        """A copy without secrets of what JSON can hold; anything else as its text."""
        return _Walk(self.keys).clean(value, 0)

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of an error or transaction without secrets, and without the places where the values found under
        secret keys appear again: a password in the message of the exception about it."""
        walk = _Walk(self.keys)
        cleaned = walk.clean(event, 0)
        _clean_bodies(cleaned, self.keys)
        echoes = walk.echoes()
        return _without_echoes(cleaned, echoes, 0) if echoes else cleaned  # type: ignore[no-any-return]


class _Walk:
    """One copy of one value, with the secrets seen on the way."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys
        self._seen: set[str] = set()

    def clean(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth > MAX_DEPTH:
            return FILTERED
        if isinstance(value, str):
            return self._text(value, depth)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._sequence(list(value), depth)
        if isinstance(value, bytes | bytearray):
            return self._text(bytes(value).decode("utf-8", "replace"), depth)
        return self._text(str(value), depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        cleaned = {}
        secret_value = names_secret_value(value, self._keys)
        for key, item in value.items():
            name = str(key)
            if name in self._keys or (secret_value and name == "value"):
                cleaned[self._clean_key(name)] = self._secret(item)
            else:
                cleaned[self._clean_key(name)] = self.clean(item, depth + 1)
        return cleaned

    def _sequence(self, value: list[Any], depth: int) -> list[Any]:
        if is_secret_pair(value, self._keys):
            return [self._text(value[0], depth), self._secret(value[1])]
        return [self.clean(item, depth + 1) for item in value]

    def _text(self, text: str, depth: int) -> str:
        # JSON within a text is what bodies and messages often are.
        if text[:1] in ("{", "[") and len(text) <= MAX_TEXT:
            try:
                held = json.loads(text)
            except (ValueError, RecursionError):
                return without_secrets(text, self._keys)
            cleaned = self.clean(held, depth + 1)
            return text if cleaned == held else json.dumps(cleaned, ensure_ascii=False)
        return without_secrets(text, self._keys)

    def _clean_key(self, key: str) -> str:
        return key if key.isidentifier() else without_secrets(key, self._keys)

    def _secret(self, value: Any) -> Any:
        if _holds_nothing(value):
            return value
        self._remember(value, 0)
        if isinstance(value, Mapping) and set(value) == {"type", "value"}:
            # An attribute of a span or a log, whose form the receiver checks.
            return {"type": "string", "value": FILTERED}
        return FILTERED

    def _remember(self, value: Any, depth: int) -> None:
        if len(self._seen) >= _MAX_ECHOES or depth > MAX_DEPTH:
            return
        if isinstance(value, Mapping):
            for item in value.values():
                self._remember(item, depth + 1)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self._remember(item, depth + 1)
        elif isinstance(value, bytes | bytearray):
            self._remember(bytes(value).decode("utf-8", "replace"), depth)
        elif value is not None and not isinstance(value, bool):
            text = str(value)
            # Of "Bearer abc" and "a=1; b=2" the parts are secret too.
            self._seen.update(part for part in (text, *_parts(text)) if len(part) >= _MIN_ECHO)

    def echoes(self) -> list[str]:
        """The longest first, in every spelling that they may appear in."""
        spelled = {
            form
            for secret in self._seen
            if secret != FILTERED
            for form in (secret, quote(secret), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])
        }
        return sorted(spelled, key=len, reverse=True)


def _holds_nothing(value: Any) -> bool:
    """Whether a key was set at all is no secret and often the answer that one looks for. A number may be a PIN."""
    return value is None or isinstance(value, bool) or (isinstance(value, str | list | tuple | dict) and not value)


def _parts(text: str) -> list[str]:
    if len(text) > MAX_TEXT:
        return []
    # Local variables are sent as Python writes them, with quotes that the text elsewhere has not.
    bare = text.removeprefix("b").strip("\"'")
    parts = [*(part.rpartition("=")[2] for part in text.replace(";", " ").split()), *text.split()]
    # "Bearer", "Signature": words that stand beside a secret are looked for nowhere else.
    return [bare, *(part for part in parts if not part.isalpha())]


def _clean_bodies(event: dict[str, Any], keys: SecretKeys) -> None:
    for outer, inner in _BODY_PATHS:
        holder = event.get(outer)
        body = holder.get(inner) if isinstance(holder, dict) else None
        if isinstance(body, str) and body and not _tells_its_keys(body):
            holder[inner] = FILTERED  # type: ignore[index]


def _tells_its_keys(body: str) -> bool:
    """JSON or a form: what is secret in it was found by its keys."""
    if body[:1] in ("{", "["):
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
        return True
    return "=" in body and not any(mark in body for mark in " \t\r\n<>{}")


def _without_echoes(value: Any, echoes: list[str], depth: int) -> Any:
    if isinstance(value, str):
        return _replaced(value, echoes)
    if isinstance(value, dict):
        return {
            _replaced_key(key, echoes): item
            if key in _PROTOCOL and isinstance(item, str | int)
            else _without_echoes(item, echoes, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_echoes(item, echoes, depth + 1) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in echoes:
        return FILTERED
    return value


def _replaced(text: str, echoes: list[str]) -> str:
    for echo in echoes:
        if echo in text:
            text = text.replace(echo, FILTERED)
    return text


def _replaced_key(key: str, echoes: list[str]) -> str:
    # A password that is a word like "message" must not rename the fields of the event.
    return key if key.isalpha() or key in _PROTOCOL else _replaced(key, echoes)
