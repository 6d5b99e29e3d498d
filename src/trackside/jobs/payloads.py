"""What was handed to a job, for a page: inflated within bounds, never unpickled, without secrets, as JSON values."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from trackside.exceptions import ParseError
from trackside.jobs.pickles import Foreign, unpickled

IsSecret = Callable[[str], bool]
"""Says of a key whether its value must not be shown."""

MAX_INFLATED_BYTES = 1 << 20
MAX_SHOWN_CHARACTERS = 64 << 10
"""In one payload."""
MAX_SHOWN_TEXT = 4_000
"""In one value."""
MAX_SHOWN_ITEMS = 2_000
MAX_SHOWN_DEPTH = 12
HIDDEN = "[redacted]"
CUT = "…"


def inflated(data: bytes, limit: int = MAX_INFLATED_BYTES) -> bytes:
    """What zlib had deflated.

    Raises:
        ParseError: it is not of zlib, or more than `limit` bytes long.
    """
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, limit)
    except zlib.error as error:
        raise ParseError(f"not compressed by zlib: {error}") from error
    if inflater.unconsumed_tail:
        raise ParseError(f"more than {limit} bytes when inflated")
    return found


def decoded(data: bytes) -> Any:
    """A pickle or JSON, whichever it is: plain values, with a `Foreign` for what was an object.

    Raises:
        ParseError: it is neither, or too large.
    """
    if data[:1] == b"\x80":
        return unpickled(data)
    if len(data) > MAX_INFLATED_BYTES:
        raise ParseError(f"{len(data)} bytes; at most {MAX_INFLATED_BYTES} are looked at")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return unpickled(data)


def shown(value: Any, is_secret: IsSecret) -> Any:
    """As JSON values, bounded in every direction, the values of secret keys hidden; an object is its text."""
    return _Shower(is_secret).value(value, 0)


class _Shower:
    """Counts what was shown, so that a structure which contains itself a million times ends."""

    def __init__(self, is_secret: IsSecret) -> None:
        self._is_secret = is_secret
        self._items = MAX_SHOWN_ITEMS
        self._characters = MAX_SHOWN_CHARACTERS

    def value(self, value: Any, depth: int) -> Any:
        self._items -= 1
        if self._items < 0 or depth > MAX_SHOWN_DEPTH:
            return CUT
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes | bytearray):
            return self._text(_bytes_text(bytes(value)))
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return self._sequence(value, depth)
        return self._text(self._object(value, depth) if isinstance(value, Foreign) else f"<{type(value).__name__}>")

    def _text(self, text: str) -> str:
        room = min(MAX_SHOWN_TEXT, max(0, self._characters))
        # Lone surrogates, as a pickle may have them, cannot be sent to a browser.
        clean = text[:room].encode("utf-8", "backslashreplace").decode("utf-8")
        self._characters -= len(clean)
        return clean + CUT if len(text) > room else clean

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, inner in value.items():
            if self._items < 0 or self._characters <= 0:
                found[CUT] = CUT
                break
            name = self._text(key if isinstance(key, str) else _bytes_text(key) if isinstance(key, bytes) else str(key))
            found[name] = HIDDEN if self._is_secret(name) else self.value(inner, depth + 1)
        return found

    def _sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        found: list[Any] = []
        for inner in value:
            if self._items < 0 or self._characters <= 0:
                found.append(CUT)
                break
            found.append(self.value(inner, depth + 1))
        return found

    def _object(self, value: Foreign, depth: int) -> str:
        known = _KNOWN.get(value.name)
        if known is not None:
            try:
                return known(value)
            except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
                pass
        if value.args is None and value.state is None and not value.items:
            return value.name
        args = value.args if isinstance(value.args, tuple) else () if value.args is None else (value.args,)
        parts = [self._part(inner, depth) for inner in args[:50]]
        named = [inner for inner in (value.kwargs, value.state) if isinstance(inner, dict)]
        parts += [
            f"{name}={_dumped(inner)}" for each in named for name, inner in self._mapping(each, depth + 1).items()
        ]
        if value.state is not None and not isinstance(value.state, dict):
            parts.append(self._part(value.state, depth))
        if value.items:
            parts.append(self._part(dict(value.items) if all(map(_is_pair, value.items)) else value.items, depth))
        return f"{value.name}({', '.join(parts)})"

    def _part(self, value: Any, depth: int) -> str:
        return self.value(value, depth + 1) if isinstance(value, Foreign) else _dumped(self.value(value, depth + 1))


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str | bytes | int | float)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: int | float) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    # Browsers lose digits beyond 2^53; a number of a million digits takes seconds to write.
    if value.bit_length() <= 53:
        return value
    return str(value) if value.bit_length() <= 1024 else f"<an integer of {value.bit_length()} bits>"


def _bytes_text(value: bytes) -> str:
    try:
        found = value[: MAX_SHOWN_TEXT + 1].decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes>"
    return found if found.isprintable() else f"<{len(value)} bytes>"


def _datetime(value: Foreign) -> str:
    packed = _packed(value.args[0], 10)
    year, month, day = packed[0] * 256 + packed[1], packed[2] & 0x7F, packed[3]
    hour, minute, second = packed[4:7]
    moment = time(hour, minute, second, int.from_bytes(packed[7:10], "big"))
    found = datetime.combine(date(year, month, day), moment)
    return found.isoformat() + (_zone(value.args[1]) if len(value.args) > 1 else "")


def _zone(zone: Foreign) -> str:
    if zone.name != "datetime.timezone":
        return "Z" if zone.name in ("pytz._UTC", "pytz.UTC") else f" {zone.name}"
    days, seconds, _ = zone.args[0].args
    minutes = (days * 86_400 + seconds) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "Z"


def _date(value: Foreign) -> str:
    packed = _packed(value.args[0], 4)
    return date(packed[0] * 256 + packed[1], packed[2], packed[3]).isoformat()


def _packed(value: Any, size: int) -> bytes:
    found = value.encode("latin-1") if isinstance(value, str) else value
    if not isinstance(found, bytes) or len(found) != size:
        raise ValueError("not as dates are packed")
    return found


def _uuid(value: Foreign) -> str:
    return str(UUID(int=value.state["int"]))


def _decimal(value: Foreign) -> str:
    (number,) = value.args
    if not isinstance(number, str):
        raise TypeError("not as decimals are packed")
    return number[:MAX_SHOWN_TEXT]


_KNOWN: dict[str, Callable[[Foreign], str]] = {
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "uuid.UUID": _uuid,
    "decimal.Decimal": _decimal,
}
