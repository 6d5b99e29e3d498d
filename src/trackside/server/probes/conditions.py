"""`[STATUS] == 200`, `[BODY].items[0].name == pat(john*)`: Gatus' conditions on what a probe found out. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any

from trackside.model.durations import format_duration, parse_duration
from trackside.server.probes.json_path import parsed_path, value_at

CUT_CHARS = 25
"""Of a text that is shown beside the pattern it does not match."""
MAX_PATTERN_CHARS = 1_000
HOUR_MS = 3_600_000
_BODY = "[BODY]"
_INVALID = "INVALID"
# In the order in which a condition is searched for them: what stands in a text must not be taken for an operator.
_OPERATORS = ("==", "!=", "<=", ">=", ">", "<")
_SPAN = "[CERTIFICATE_EXPIRATION]"


@dataclass(frozen=True, slots=True)
class Finding:
    """What conditions may speak of."""

    status: int = 0
    ip: str = ""
    duration_ms: int = 0
    body: str = ""
    connected: bool = False
    certificate_expiration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    text: str
    left: str
    operator: str
    right: str

    @classmethod
    def parsed(cls, text: str) -> Condition:
        """
        Raises:
            ValueError: it is no condition.
        """
        for operator in _OPERATORS:
            left, found, right = text.partition(f" {operator} ")
            if found and left.strip() and right.strip() and (left.strip(), right.strip()) != ("=", "="):
                if right.strip().startswith("= "):
                    break
                return cls(text, left.strip(), operator, right.strip())
        raise ValueError(f"not a condition: {text!r}; expected something such as [STATUS] == 200, spaces included")

    def holds(self, finding: Finding) -> bool:
        return self._judged(finding)[0]

    def shown(self, finding: Finding) -> str:
        """The condition, beside each placeholder of one that does not hold what it stood for."""
        holds, left, right = self._judged(finding)
        if holds:
            return self.text
        left_text, right_text = (_beside(given, found) for given, found in ((self.left, left), (self.right, right)))
        if "pat(" in self.left + self.right:
            left_text, right_text = _cut(self.left, left_text, left), _cut(self.right, right_text, right)
        return f"{left_text} {self.operator} {right_text}"

    def _judged(self, finding: Finding) -> tuple[bool, str, str]:
        """Whether it holds, and its two sides as they were compared."""
        left, right = _resolved(self.left, finding), _resolved(self.right, finding)
        if self.operator in ("==", "!="):
            return _equal(left, right) is (self.operator == "=="), left, right
        numbers = _number(left), _number(right)
        holds = _COMPARISONS[self.operator](*numbers)
        # A text that has no number counts as 0, and is shown as such.
        return holds, _as_compared(self.left, left, numbers[0]), _as_compared(self.right, right, numbers[1])


_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _resolved(text: str, finding: Finding) -> str:
    """What a side of a condition stands for."""
    for name in ("len", "has"):
        if _is_call(text, name):
            return _of_body(text[len(name) + 1 : -1], finding, name)
    if text.startswith(_BODY):
        return _of_body(text, finding, "")
    known = {
        "[STATUS]": str(finding.status),
        "[IP]": finding.ip,
        "[RESPONSE_TIME]": str(finding.duration_ms),
        "[CONNECTED]": str(finding.connected).lower(),
        _SPAN: str(finding.certificate_expiration_ms),
    }
    return known.get(text, text)


def _of_body(text: str, finding: Finding, function: str) -> str:
    value = _value(text.removeprefix(_BODY), finding.body) if text.startswith(_BODY) else text
    if function == "has":
        return str(value is not None).lower()
    if value is None:
        return _INVALID
    if function == "len":
        return str(len(value) if isinstance(value, list | str) else len(_text(value)))
    return _text(value)


def _value(path: str, body: str) -> Any:
    """None: there is nothing. The whole body is a text, unless it is asked for its length and is a list."""
    if not path:
        whole = _document(body)
        return whole if isinstance(whole, list) else body.strip()
    try:
        return value_at(_document(body), parsed_path(path))
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=8)
def _document(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _equal(left: str, right: str) -> bool:
    for one, other in ((left, right), (right, left)):
        if _is_call(one, "pat") and not _is_call(other, "pat"):
            return _pattern(one[4:-1]).fullmatch(other) is not None
    for one, other in ((left, right), (right, left)):
        if _is_call(one, "any"):
            return any(_equal(choice.strip(), other) for choice in one[4:-1].split(","))
    numbers = _whole(left), _whole(right)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return left == right


def _is_call(text: str, name: str) -> bool:
    return text.startswith(f"{name}(") and text.endswith(")")


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    # `*` and `?` only; many stars in a row would make the matching slow, and mean one.
    plain = re.sub(r"\*+", "*", text[:MAX_PATTERN_CHARS]).replace("[", "[[]")
    return re.compile(translate(plain), re.S)


def _whole(text: str) -> int | None:
    """Decimal, 0x, 0o or 0b."""
    try:
        return int(text, 0)
    except ValueError:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _number(text: str) -> int:
    """As Gatus compares: durations are milliseconds, fractions are cut off, and what is no number is 0."""
    whole = _whole(text)
    if whole is not None:
        return whole
    try:
        return parse_duration(text)
    except ValueError:
        pass
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0


def _as_compared(given: str, resolved: str, number: int) -> str:
    if given == _SPAN:
        # In hours, as the conditions are written: 24h, not 1d.
        return f"{number // HOUR_MS}h" if number % HOUR_MS == 0 else format_duration(number)
    if resolved == _INVALID or _is_duration(given):
        return resolved
    return resolved if _whole(resolved) is not None else str(number)


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _beside(given: str, found: str) -> str:
    return given if given == found else f"{given} ({found})"


def _cut(given: str, shown: str, found: str) -> str:
    """A page beside a pattern would bury it."""
    if given == found or len(found) <= CUT_CHARS:
        return shown
    return f"{given} ({found[:CUT_CHARS]}...(truncated))"


def placeholders_of(condition: Condition) -> set[str]:
    """Every placeholder it names; the body as `[BODY]`."""
    return set(re.findall(r"\[[A-Z_]+\]", f"{condition.left} {condition.right}"))
