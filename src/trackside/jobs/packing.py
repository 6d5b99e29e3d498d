"""Frozen nouns as JSON values, and back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def packed(value: Any) -> Any:
    """Fields by their names, enumerations by their values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: packed(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {packed(key): packed(one) for key, one in value.items()}
    return [packed(one) for one in value] if isinstance(value, tuple | list) else value


def unpacked(kind: type[T], value: Any) -> T:
    """
    Raises:
        ValueError: it was packed from something else, by another version perhaps.
    """
    try:
        made: T = _unpacked(kind, value)
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"no {kind.__name__}: {error}") from error
    return made


def _unpacked(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        known = [one for one in arguments if one is not type(None)]
        return None if value is None else _unpacked(known[0], value)
    if origin is tuple:
        return tuple(_unpacked(arguments[0], one) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        return {_unpacked(arguments[0], key): _unpacked(arguments[1], one) for key, one in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _unpacked(hints[name], one) for name, one in value.items() if name in hints})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
