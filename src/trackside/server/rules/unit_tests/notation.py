"""The notation of input series: `up{job="a"}` and `1 2+3x4 _ _x2 stale {{count:2}}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.model.matchers import MatchOp
from trackside.server.promql.parser import parse_selectors
from trackside.server.rules.unit_tests.native import NativeHistogram, parse_native
from trackside.server.series import STALE

MAX_VALUES = 2_000_000
"""Of one series: a mistyped count must not fill the memory."""

Value = float | NativeHistogram | None
"""None: no sample at this place."""

_NUMBER = r"(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|(?i:inf|nan))"
_HISTOGRAM = r"\{\{[^{}]*\}\}"
_ITEM = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>\d+))?"
    rf"|(?P<stale>stale)(?:x(?P<stales>\d+))?"
    rf"|(?P<number>[+-]?{_NUMBER})(?:(?P<delta>[+-]{_NUMBER})?x(?P<times>\d+))?"
    rf"|(?P<native>{_HISTOGRAM})(?:(?:(?P<sign>[+-])(?P<step>{_HISTOGRAM}))?x(?P<count>\d+))?"
)
# Only what stands for itself is split: a histogram has spaces of its own.
_WORD = re.compile(rf"(?:{_HISTOGRAM}|[^\s{{}}])+|\S")

Addable = TypeVar("Addable", float, NativeHistogram)


def parse_metric(text: str) -> Labels:
    """`up{job="a"}`, `{job="a"}`, `{}`, or nothing at all.

    Raises:
        QueryError: it names no series.
    """
    if text.strip() in ("", "{}"):
        return Labels()
    matchers = parse_selectors(text)
    for matcher in matchers:
        if matcher.op is not MatchOp.EQUAL:
            raise QueryError(f"a series has labels with one value each, not {matcher}")
    return Labels.of((matcher.name, matcher.value) for matcher in matchers)


def parse_values(text: str) -> list[Value]:
    """
    Raises:
        QueryError: no values; says which part is wrong.
    """
    values: list[Value] = []
    for word in _WORD.finditer(text):
        found = _ITEM.fullmatch(word[0])
        if found is None:
            expected = "1, 1+2x3, _, _x3, stale or {{count:1}}"
            raise QueryError(f"not a value: {word[0][:60]!r}; expected such as {expected}", query=text)
        for value in _values(found):
            values.append(value)
            if len(values) > MAX_VALUES:
                raise QueryError(f"more than {MAX_VALUES:,} values in one series")
    return values


def _values(found: re.Match[str]) -> Iterator[Value]:
    if found["blank"]:
        yield from (None for _ in range(int(found["blanks"] or 1)))
    elif found["stale"]:
        yield from (float(STALE) for _ in range(int(found["stales"] or 0) + 1))
    elif found["number"]:
        delta = float(found["delta"] or 0)
        yield from _added(float(found["number"]), lambda value: value + delta, int(found["times"] or 0))
    else:
        yield from _histograms(found)


def _histograms(found: re.Match[str]) -> Iterator[NativeHistogram]:
    first, times = parse_native(found["native"]), int(found["count"] or 0)
    if not found["step"]:
        return _added(first, lambda value: value, times)
    step = parse_native(found["step"])
    signed = step if found["sign"] == "+" else step.scaled(-1)
    return _added(first, lambda value: value.plus(signed), times)


def _added(first: Addable, following: Callable[[Addable], Addable], times: int) -> Iterator[Addable]:
    """Step by step, not multiplied: sums of floats differ in the last digit, and expected values were read off so."""
    yield first
    for _ in range(times):
        first = following(first)
        yield first
