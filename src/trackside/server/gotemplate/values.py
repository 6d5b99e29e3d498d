"""What a template computes with: Python values that behave as Go's do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

_KINDS = {
    "string": (str,),
    "int": (int,),
    "float64": (int, float),
    "bool": (bool,),
    "list": (list, tuple),
    "map": (Mapping,),
    "any": (object,),
}


class Object:
    """A value with named fields and methods. Only what `member` gives is reachable from a template, no attribute."""

    type_name = "object"

    def member(self, name: str) -> object:
        """The field's value, or a `GoFunction` for a method.

        Raises:
            KeyError: there is no such field.
        """
        raise KeyError(name)

    def text(self) -> str | None:
        """How it is printed; None: as the list or map that it is."""
        return None


class StringMap(dict[str, str]):
    """A map of strings: a key that is not there reads as the empty string, as in Go."""


@dataclass(frozen=True, slots=True)
class GoFunction:
    """A function with the types of its parameters, which Go checks before the call."""

    call: Callable[..., object]
    params: tuple[str, ...] = ()
    """Each one of "string", "int", "float64", "bool", "list", "map", "any"."""
    rest: str | None = None
    """Type of any further arguments; None: there may be none."""

    def __call__(self, *args: object) -> object:
        """
        Raises:
            ValueError: wrong number or type of arguments, or the function's own complaint.
        """
        wanted = len(self.params)
        if len(args) < wanted or (len(args) > wanted and self.rest is None):
            least = "at least " if self.rest is not None else ""
            raise ValueError(f"wrong number of arguments: want {least}{wanted}, got {len(args)}")
        for at, arg in enumerate(args):
            kind = self.params[at] if at < wanted else str(self.rest)
            if not _is(arg, kind):
                raise ValueError(f"wrong type for argument {at + 1}: expected {kind}, found {type_name(arg)}")
        return self.call(*args)


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind in ("bool", "any")
    return isinstance(value, _KINDS[kind])


def type_name(value: object) -> str:
    """Go's name of the type, for messages."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "bool"),
        (int, "int"),
        (float, "float64"),
        (str, "string"),
        (StringMap, "map[string]string"),
        (Mapping, "map[string]interface {}"),
        (list, "[]interface {}"),
        (tuple, "[]interface {}"),
    )
    if value is None:
        return "nil"
    if isinstance(value, Object):
        return value.type_name
    return next((name for kind, name in names if isinstance(value, kind)), "object")


def truth(value: object) -> bool:
    """Whether `if` takes it as true: anything but false, zero, nil and what is empty."""
    if isinstance(value, str | list | tuple | Mapping):
        return len(value) > 0
    if isinstance(value, bool | int | float):
        return bool(value)
    return value is not None


def item(container: object, key: object) -> object:
    """One element of a list, a map or a string.

    Raises:
        ValueError: no such element of a list, or nothing that has elements.
    """
    if container is None:
        raise ValueError("index of nil")
    if isinstance(container, Mapping):
        if not isinstance(key, str):
            raise ValueError(f"the keys of a map are strings, not {type_name(key)}")
        missing = "" if isinstance(container, StringMap) else None
        return container.get(key, missing)
    if not isinstance(container, list | tuple | str):
        raise ValueError(f"{type_name(container)} has no elements")
    if isinstance(key, bool) or not isinstance(key, int):
        raise ValueError(f"the index of a list is an integer, not {type_name(key)}")
    elements: Sequence[object] = container.encode() if isinstance(container, str) else container
    if not 0 <= key < len(elements):
        raise ValueError(f"index out of range: {key}; there are {len(elements)}")
    return elements[key]


def printed(value: object) -> str:
    """As `{{ . }}` prints it."""
    return "<no value>" if value is None else shown(value)


def shown(value: object) -> str:
    """As `%v` prints it."""
    if isinstance(value, Object):
        text = value.text()
        if text is not None:
            return text
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, Mapping):
        inner = " ".join(f"{key}:{shown(value[key])}" for key in sorted(value))
        return f"map[{inner}]"
    if isinstance(value, list | tuple):
        return "[{}]".format(" ".join(shown(element) for element in value))
    if value is None:
        return "<nil>"
    return str(value) if isinstance(value, int) else type_name(value)


def shortest(value: float) -> str:
    """The fewest digits that read back as the same number, as `%v` and `%g` print it: 1234567 is 1.234567e+06."""
    return general(value, 6)


def general(value: float, exponent_from: int) -> str:
    """Shortest digits; with an exponent when it is below -4 or at least `exponent_from`."""
    if not math.isfinite(value):
        return special(value)
    mantissa, _, exponent_text = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    leading = len(whole + fraction) - len(digits)
    exponent = len(whole) + int(exponent_text or 0) - leading - 1
    return sign + laid_out(digits.rstrip("0"), exponent, exponent_from)


def laid_out(digits: str, exponent: int, exponent_from: int) -> str:
    """Significant digits without trailing zeros, of which the first stands for 10 to the `exponent`."""
    if not digits:
        return "0"
    if exponent < -4 or exponent >= exponent_from:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return digits.ljust(exponent + 1, "0")
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def comparable(left: object, right: object) -> tuple[float, float] | tuple[str, str]:
    """Both sides of `lt` and its like.

    Raises:
        ValueError: they have no order, or not the same type. Go does not compare 1 with 1.0.
    """
    for kind in (str, int, float):
        if type(left) is kind and type(right) is kind:
            return cast("tuple[float, float]", (left, right))
    raise ValueError(f"cannot compare {type_name(left)} with {type_name(right)}{_hint(left, right)}")


def equal(left: object, right: object) -> bool:
    """
    Raises:
        ValueError: a list or a map, or values of different types.
    """
    if left is None or right is None:
        return left is right
    for value in (left, right):
        if isinstance(value, list | tuple | Mapping):
            raise ValueError(f"cannot compare a {type_name(value)}")
    if type(left) is not type(right):
        raise ValueError(f"cannot compare {type_name(left)} with {type_name(right)}{_hint(left, right)}")
    return left == right


def _hint(left: object, right: object) -> str:
    if {type(left), type(right)} == {int, float}:
        return "; write the number with a decimal point, such as 10.0"
    return ""
