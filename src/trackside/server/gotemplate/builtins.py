"""The functions every template has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote_plus

from trackside.server.gotemplate.printf import sprintf
from trackside.server.gotemplate.values import GoFunction, comparable, equal, item, printed, shown, truth, type_name

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"})
_JS = str.maketrans({"\\": "\\\\", "'": "\\'", '"': '\\"'} | {mark: f"\\u{ord(mark):04X}" for mark in "<>&="})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def sprint(*args: object) -> str:
    """Values side by side, with a space between two of which neither is a string."""
    parts: list[str] = []
    for at, arg in enumerate(args):
        if at and not isinstance(arg, str) and not isinstance(args[at - 1], str):
            parts.append(" ")
        parts.append(shown(arg))
    return "".join(parts)


def _println(*args: object) -> str:
    return " ".join(shown(arg) for arg in args) + "\n"


def _joined(args: tuple[object, ...]) -> str:
    return args[0] if len(args) == 1 and isinstance(args[0], str) else "".join(printed(arg) for arg in args)


def _html(*args: object) -> str:
    return _joined(args).translate(_HTML)


def _js(*args: object) -> str:
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04X}", _joined(args).translate(_JS))


def _urlquery(*args: object) -> str:
    return quote_plus(_joined(args), safe="")


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    raise ValueError(f"{type_name(value)} has no length")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        value = item(value, key)
    return value


def _slice(value: object, *bounds: object) -> object:
    if len(bounds) > 3:
        raise ValueError(f"too many bounds: {len(bounds)}")
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"{type_name(value)} cannot be sliced")
    if isinstance(value, str) and len(bounds) == 3:
        raise ValueError("a string cannot be sliced with three bounds")
    elements = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    start, end = _bounds(bounds, len(elements))
    part = elements[start:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _bounds(bounds: tuple[object, ...], length: int) -> tuple[int, int]:
    numbers: list[int] = []
    for bound in bounds:
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise ValueError(f"a bound is an integer, not {type_name(bound)}")
        if not 0 <= bound <= length:
            raise ValueError(f"index out of range: {bound}; the length is {length}")
        numbers.append(bound)
    start = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else length
    if start > end:
        raise ValueError(f"invalid slice: {start} > {end}")
    return start, end


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    return any(equal(first, other) for other in others)


def _less(left: object, right: object) -> bool:
    pair = comparable(left, right)
    return pair[0] < pair[1]  # type: ignore[operator]


def _less_or_equal(left: object, right: object) -> bool:
    pair = comparable(left, right)
    return pair[0] <= pair[1]  # type: ignore[operator]


def _call(*_args: object) -> object:
    raise ValueError("there are no values that can be called")


_TWO = ("any", "any")

BUILTINS: Mapping[str, GoFunction] = MappingProxyType(
    {
        "print": GoFunction(sprint, rest="any"),
        "println": GoFunction(_println, rest="any"),
        "printf": GoFunction(sprintf, ("string",), rest="any"),
        "html": GoFunction(_html, rest="any"),
        "js": GoFunction(_js, rest="any"),
        "urlquery": GoFunction(_urlquery, rest="any"),
        "len": GoFunction(_len, ("any",)),
        "index": GoFunction(_index, ("any",), rest="any"),
        "slice": GoFunction(_slice, ("any",), rest="any"),
        "not": GoFunction(lambda value: not truth(value), ("any",)),
        "eq": GoFunction(_eq, ("any",), rest="any"),
        "ne": GoFunction(lambda left, right: not equal(left, right), _TWO),
        "lt": GoFunction(_less, _TWO),
        "le": GoFunction(_less_or_equal, _TWO),
        "gt": GoFunction(lambda left, right: not _less_or_equal(left, right), _TWO),
        "ge": GoFunction(lambda left, right: not _less(left, right), _TWO),
        "call": GoFunction(_call, rest="any"),
    }
)

SHORT_CIRCUIT = frozenset(("and", "or"))
"""Evaluated argument by argument, so that `and .X (index .X 0)` is safe."""

BUILTIN_NAMES = frozenset(BUILTINS) | SHORT_CIRCUIT
