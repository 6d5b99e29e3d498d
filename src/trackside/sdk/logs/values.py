"""Any Python value as JSON text: bounded, on one line, and whatever the value does."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Set
from datetime import date, time
from enum import Enum
from json.encoder import encode_basestring

from trackside.model.secret_keys import is_secret_pair, names_secret_value
from trackside.model.secret_texts import FILTERED

MAX_DEPTH = 6
MAX_ITEMS = 100
"""Of one collection; what is beyond is counted and left out."""
MAX_PARTS = 1_000
"""Of a value with all that is in it: a hundred lists of a hundred would be a megabyte."""
MAX_TEXT = 8_192
"""Characters of a field's text."""
MAX_CHARACTERS = 65_536
"""Of all texts in one value: a line is not longer either, and each text is looked through for secrets."""
MAX_NAME = 256
# The largest integers that every reader takes; JavaScript's end at 53 bits, but a text would be no number at all.
_MAX_INT = 2**63

# The pure Python fallback has the same signature; where the C function is missing lines are slower, not wrong.
quoted: Callable[[str], str] = encode_basestring
_FILTERED = quoted(FILTERED)


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"


def text_as_it_is(text: str) -> str:
    return quoted(text) if len(text) <= MAX_TEXT else quoted(shortened(text))


def json_of(value: object, secret_keys: Container[str] = (), text_of: Callable[[str], str] = text_as_it_is) -> str:
    """Never raises, but for what no program should catch. What stands under `secret_keys` is left out; `text_of` writes
    each text that is in it."""
    kind = type(value)
    if kind is str:
        return text_of(value)  # type: ignore[arg-type]
    if kind is int:
        return _integer(value)  # type: ignore[arg-type]
    if kind is float:
        return _float(value)  # type: ignore[arg-type]
    return _Walk(secret_keys, text_of).json_of(value, 0)


class _Walk:
    """Through one value and all that is in it."""

    __slots__ = ("_characters", "_left", "_secret_keys", "_text_of")

    def __init__(self, secret_keys: Container[str], text_of: Callable[[str], str]) -> None:
        self._left = MAX_PARTS
        self._characters = MAX_CHARACTERS
        self._secret_keys = secret_keys
        self._text_of = text_of

    def json_of(self, value: object, depth: int) -> str:
        if value is None:
            return "null"
        if value is True or value is False:
            return "true" if value else "false"
        self._left -= 1
        try:
            return self._collection(value, depth) if _is_collection(value) else self._scalar(value)
        except RecursionError:
            return '"(too deep)"'
        except Exception as error:  # noqa: BLE001 - a value of the application's that cannot even be looked at
            return quoted(f"({type(value).__name__}: {type(error).__name__} when it was written)")

    def _collection(self, value: object, depth: int) -> str:
        if depth >= MAX_DEPTH or self._left <= 0:
            return '"(too deep)"' if depth >= MAX_DEPTH else '"(too much)"'
        if isinstance(value, Mapping):
            return self._object(value, depth)
        parts: list[str] = []
        is_pair = isinstance(value, list | tuple) and is_secret_pair(value, self._secret_keys)
        for item in value:  # type: ignore[attr-defined]
            if len(parts) >= MAX_ITEMS or self._left <= 0:
                parts.append(f'"({len(value) - len(parts)} more)"')  # type: ignore[arg-type]
                break
            parts.append(_FILTERED if is_pair and parts else self.json_of(item, depth + 1))
        return "[" + ",".join(parts) + "]"

    def _object(self, value: Mapping[object, object], depth: int) -> str:
        parts: list[str] = []
        is_pair = names_secret_value(value, self._secret_keys)
        for key, item in value.items():
            if len(parts) >= MAX_ITEMS or self._left <= 0:
                parts.append(f'"(more)":{len(value) - len(parts)}')
                break
            name = key if type(key) is str else str(key)
            is_secret = name in self._secret_keys or (is_pair and name == "value")
            text = _FILTERED if is_secret else self.json_of(item, depth + 1)
            parts.append(f"{self._name(name)}:{text}")
        return "{" + ",".join(parts) + "}"

    def _name(self, name: str) -> str:
        return quoted(name) if len(name) <= MAX_NAME and name.isidentifier() else self._text(shortened(name, MAX_NAME))

    def _scalar(self, value: object) -> str:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            return _integer(value)
        if isinstance(value, float):
            return _float(value)
        if isinstance(value, date | time):
            return quoted(value.isoformat())
        if isinstance(value, bytes | bytearray):
            return self._text(bytes(value[:MAX_TEXT]).decode("utf-8", "backslashreplace"))
        if isinstance(value, BaseException):
            return self._text(f"{type(value).__name__}: {value}")
        return self._text(str(value))

    def _text(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            text = shortened(text)
        self._characters -= len(text)
        return '"(too much)"' if self._characters < 0 else self._text_of(text)


def _is_collection(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | Set)


def _integer(value: int) -> str:
    if -_MAX_INT <= value < 2 * _MAX_INT:
        return int.__repr__(value)
    # Beyond 4,300 digits Python refuses to write one.
    return quoted(shortened(hex(value)))


def _float(value: float) -> str:
    # Not a number is not JSON: readers refuse the whole line.
    return float.__repr__(value) if math.isfinite(value) else f'"{float.__repr__(value)}"'
