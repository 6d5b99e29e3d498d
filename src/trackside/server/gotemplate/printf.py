"""Formatting as Go's `printf` does it, its complaints about wrong verbs included."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from trackside.server.gotemplate.literals import quote, quote_character
from trackside.server.gotemplate.values import Object, general, laid_out, shown, special, type_name

_VERB = re.compile(r"%([+\-# 0]*)(?:\[(\d+)\])?(\*|\d+)?(?:(\.)(?:\[(\d+)\])?(\*|\d+)?)?(?:\[(\d+)\])?(.)?", re.S)
MAX_WIDTH = 10_000
"""Go takes up to a million; no message needs that, and it would let a small template make a huge text."""


@dataclass(frozen=True, slots=True)
class _Spec:
    flags: str
    width: int | None
    precision: int | None
    verb: str


class _Arguments:
    def __init__(self, args: tuple[object, ...]) -> None:
        self.args = args
        self.at = 0
        self.reordered = False

    def select(self, number: str | None) -> None:
        if number is not None:
            self.at = int(number) - 1
            self.reordered = True

    def has_next(self) -> bool:
        return 0 <= self.at < len(self.args)

    def next(self) -> object:
        self.at += 1
        return self.args[self.at - 1]


def sprintf(form: str, *args: object) -> str:
    """Never fails: a verb that does not fit its value is said in the text, as `%!d(string=x)`."""
    arguments = _Arguments(args)
    text = _VERB.sub(lambda match: _replacement(match, arguments), form)
    if not arguments.reordered and arguments.at < len(args):
        extra = ", ".join(f"{type_name(arg)}={shown(arg)}" for arg in args[arguments.at :])
        text += f"%!(EXTRA {extra})"
    return text


def _replacement(match: re.Match[str], arguments: _Arguments) -> str:
    flags, first, width_text, point, second, precision_text, third, verb = match.groups()
    arguments.select(first)
    width = _number(width_text, arguments)
    arguments.select(second)
    precision = _number(precision_text, arguments) if point else None
    arguments.select(third)
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    complaint = ""
    if width is not None and abs(width) > MAX_WIDTH:
        complaint, width = "%!(BADWIDTH)", None
    if precision is not None and precision > MAX_WIDTH:
        complaint, precision = "%!(BADPREC)", MAX_WIDTH
    if not arguments.has_next():
        return f"%!{verb}(BADINDEX)" if arguments.reordered else f"%!{verb}(MISSING)"
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    if point and precision is None:
        precision = 0
    return complaint + _formatted(arguments.next(), _Spec(flags, width, precision, verb))


def _number(text: str | None, arguments: _Arguments) -> int | None:
    if text == "*":
        value = arguments.next() if arguments.has_next() else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    # More digits than any limit has need not be computed.
    return int(text[:9]) if text else None


def _formatted(value: object, spec: _Spec) -> str:
    if spec.verb == "T":
        return _padded(type_name(value), spec)
    if isinstance(value, Object) and (text := value.text()) is not None and spec.verb in "vsqxX":
        return _string(text, spec)
    if isinstance(value, bool):
        return _padded("true" if value else "false", spec) if spec.verb in "vt" else _mismatch(value, spec)
    if isinstance(value, int):
        return _integer(value, spec)
    if isinstance(value, float):
        return _float(value, spec)
    if isinstance(value, str):
        return _string(value, spec)
    if isinstance(value, Mapping):
        inner = " ".join(f"{key}:{_formatted(value[key], spec)}" for key in sorted(value))
        return f"map[{inner}]"
    if isinstance(value, list | tuple):
        return "[{}]".format(" ".join(_formatted(element, spec) for element in value))
    if value is None:
        return _padded("<nil>", spec) if spec.verb == "v" else f"%!{spec.verb}(<nil>)"
    return _padded(shown(value), spec) if spec.verb in "vs" else _mismatch(value, spec)


def _mismatch(value: object, spec: _Spec) -> str:
    return f"%!{spec.verb}({type_name(value)}={shown(value)})"


def _padded(text: str, spec: _Spec) -> str:
    if spec.width is None:
        return text
    return text.ljust(spec.width) if "-" in spec.flags else text.rjust(spec.width)


def _string(text: str, spec: _Spec) -> str:
    if spec.precision is not None and spec.verb in "vsq":
        text = text[: spec.precision]
    match spec.verb:
        case "q":
            return _padded(f"`{text}`" if "#" in spec.flags and "`" not in text else quote(text), spec)
        case "v":
            return _padded(quote(text) if "#" in spec.flags else text, spec)
        case "s":
            return _padded(text, spec)
        case "x" | "X":
            digits = text.encode("utf-8", "surrogatepass").hex()
            return _padded(digits if spec.verb == "x" else digits.upper(), spec)
    return _mismatch(text, spec)


_BASES = {"d": "d", "v": "d", "x": "x", "X": "X", "o": "o", "b": "b", "O": "o"}
_PREFIXES = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}


def _integer(value: int, spec: _Spec) -> str:
    match spec.verb:
        case "c":
            return _padded(chr(value) if 0 <= value <= 0x10FFFF else "\ufffd", spec)
        case "q":
            return _padded(quote_character(value), spec)
        case "U":
            return _padded(f"U+{value:04X}", spec)
    if spec.verb not in _BASES:
        return _mismatch(value, spec)
    digits = format(abs(value), _BASES[spec.verb])
    if spec.precision is not None:
        digits = digits.rjust(spec.precision, "0")
    prefix = _PREFIXES.get(spec.verb, "") if "#" in spec.flags else ""
    prefix = "0o" if spec.verb == "O" else prefix
    return _signed("-" if value < 0 else "", prefix + digits, spec, zeros=spec.precision is None)


def _signed(sign: str, digits: str, spec: _Spec, *, zeros: bool) -> str:
    if not sign:
        sign = "+" if "+" in spec.flags else " " if " " in spec.flags else ""
    if zeros and "0" in spec.flags and "-" not in spec.flags and spec.width is not None:
        digits = digits.rjust(spec.width - len(sign), "0")
    return _padded(sign + digits, spec)


def _float(value: float, spec: _Spec) -> str:
    if spec.verb not in "vgGeEfF":
        return _mismatch(value, spec)
    sign = "-" if math.copysign(1, value) < 0 and not math.isnan(value) else ""
    size = abs(value)
    if not math.isfinite(value):
        return _signed(
            sign, special(size).lstrip("+") if sign or "+" in spec.flags else special(size), spec, zeros=False
        )
    return _signed(sign, _magnitude(size, spec), spec, zeros=True)


def _magnitude(size: float, spec: _Spec) -> str:
    precision = spec.precision
    match spec.verb:
        case "f" | "F":
            return f"{size:.{6 if precision is None else precision}f}"
        case "e" | "E":
            return format(size, f".{6 if precision is None else precision}{spec.verb}")
    text = (
        general(size, 21 if spec.verb == "v" and "#" in spec.flags else 6)
        if precision is None
        else _rounded(size, precision)
    )
    return text.upper() if spec.verb == "G" else text


def _rounded(size: float, precision: int) -> str:
    """`%.3g`: that many digits, an exponent only when they do not reach the decimal point."""
    wanted = max(precision, 1)
    mantissa, _, exponent_text = f"{size:.{wanted - 1}e}".partition("e")
    digits = mantissa.replace(".", "").rstrip("0")
    exponent = int(exponent_text)
    # The threshold falls to the number of digits there are, when these reach the decimal point.
    exponent_from = max(len(digits), 1) if wanted > len(digits) >= exponent + 1 else wanted
    return laid_out(digits, exponent, exponent_from)
