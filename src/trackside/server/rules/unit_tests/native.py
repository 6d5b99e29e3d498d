"""Native histograms as unit tests write them: `{{schema:1 sum:3 count:2 buckets:[1 1]}}`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from trackside.exceptions import QueryError

Buckets = tuple[tuple[int, float], ...]
"""Index and count of each bucket that is not empty, increasing."""

MAX_OFFSET = 100_000
"""No finite number is in a bucket further out."""

_FIELD = re.compile(r"(\w+)\s*:\s*(\[[^\]]*\]|[^\s\[\]]+)\s*")
_HINTS = ("unknown", "reset", "not_reset", "gauge")
_LISTS = ("buckets", "n_buckets", "custom_values")
_NUMBERS = ("schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset")


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    schema: int = 0
    sum: float = 0.0
    count: float = 0.0
    zero_count: float = 0.0
    zero_width: float = 0.0
    positive: Buckets = ()
    negative: Buckets = ()
    custom_values: tuple[float, ...] = ()
    hint: str = "unknown"
    """Whether the counter began afresh here: "unknown", "reset", "not_reset", or "gauge" for what may fall."""

    def plus(self, other: NativeHistogram) -> NativeHistogram:
        """
        Raises:
            QueryError: their buckets differ.
        """
        if not self._has_buckets_of(other):
            raise QueryError("two histograms of different schema, zero bucket or boundaries cannot be added")
        return replace(
            self,
            sum=self.sum + other.sum,
            count=self.count + other.count,
            zero_count=self.zero_count + other.zero_count,
            positive=_summed(self.positive, other.positive),
            negative=_summed(self.negative, other.negative),
        )

    def scaled(self, factor: float) -> NativeHistogram:
        return replace(
            self,
            sum=self.sum * factor,
            count=self.count * factor,
            zero_count=self.zero_count * factor,
            positive=tuple((index, count * factor) for index, count in self.positive),
            negative=tuple((index, count * factor) for index, count in self.negative),
        )

    def follows(self, before: NativeHistogram) -> bool:
        """Whether it may be the same counter later: no bucket has fewer observations."""
        if not self._has_buckets_of(before):
            return False
        fallen = self.plus(before.scaled(-1))
        return min(fallen.count, fallen.zero_count, *(count for _, count in (*fallen.positive, *fallen.negative))) >= 0

    def _has_buckets_of(self, other: NativeHistogram) -> bool:
        ours = (self.schema, self.zero_width, self.custom_values)
        return ours == (other.schema, other.zero_width, other.custom_values)

    def __str__(self) -> str:
        parts = {
            "schema": self.schema,
            "count": self.count,
            "sum": self.sum,
            "z_bucket": self.zero_count,
            "z_bucket_w": self.zero_width,
        }
        texts = [f"{name}:{value:g}" for name, value in parts.items() if value]
        texts += [f"counter_reset_hint:{self.hint}"] if self.hint != "unknown" else []
        texts += _listed("buckets", "offset", self.positive) + _listed("n_buckets", "n_offset", self.negative)
        texts += [f"custom_values:[{' '.join(f'{value:g}' for value in self.custom_values)}]"] * bool(
            self.custom_values
        )
        return "{{" + " ".join(texts) + "}}"


def parse_native(text: str) -> NativeHistogram:
    """
    Raises:
        QueryError: no histogram; says which part is wrong.
    """
    inner = text.removeprefix("{{").removesuffix("}}").strip()
    fields: dict[str, str] = {}
    position = 0
    while position < len(inner):
        found = _FIELD.match(inner, position)
        if found is None or found[1] in fields:
            raise QueryError(f"not a histogram: {text[:80]!r}, at {inner[position : position + 20]!r}")
        fields[found[1]] = found[2]
        position = found.end()
    unknown = fields.keys() - {*_LISTS, *_NUMBERS, "counter_reset_hint"}
    if unknown:
        raise QueryError(f"not a part of a histogram: {min(unknown)!r}; known: {', '.join((*_NUMBERS, *_LISTS))}")
    hint = fields.get("counter_reset_hint", "unknown")
    if hint not in _HINTS:
        raise QueryError(f"counter_reset_hint is one of {', '.join(_HINTS)}, not {hint!r}")
    return NativeHistogram(
        schema=int(_number(fields, "schema")),
        sum=_number(fields, "sum"),
        count=_number(fields, "count"),
        zero_count=_number(fields, "z_bucket"),
        zero_width=_number(fields, "z_bucket_w"),
        positive=_buckets(fields, "buckets", "offset"),
        negative=_buckets(fields, "n_buckets", "n_offset"),
        custom_values=_list(fields, "custom_values"),
        hint=hint,
    )


def _number(fields: dict[str, str], name: str) -> float:
    text = fields.get(name, "0")
    try:
        value = float(text)
    except ValueError as error:
        raise QueryError(f"{name} of a histogram is no number: {text!r}") from error
    if name in ("schema", "offset", "n_offset") and not (math.isfinite(value) and value.is_integer()):
        raise QueryError(f"{name} of a histogram is a whole number, not {text}")
    return value


def _list(fields: dict[str, str], name: str) -> tuple[float, ...]:
    text = fields.get(name, "[]")
    if not text.startswith("["):
        raise QueryError(f"{name} of a histogram is a list such as [1 2], not {text!r}")
    try:
        return tuple(float(each) for each in text[1:-1].split())
    except ValueError as error:
        raise QueryError(f"{name} of a histogram has what is no number: {text[:60]!r}") from error


def _buckets(fields: dict[str, str], name: str, offset: str) -> Buckets:
    first = int(_number(fields, offset))
    if abs(first) > MAX_OFFSET:
        raise QueryError(f"{offset} of a histogram is at most {MAX_OFFSET:,}, not {first:,}")
    return tuple((first + place, count) for place, count in enumerate(_list(fields, name)) if count)


def _summed(ours: Buckets, theirs: Buckets) -> Buckets:
    counts = dict(ours)
    for index, count in theirs:
        counts[index] = counts.get(index, 0.0) + count
    return tuple(sorted((index, count) for index, count in counts.items() if count))


def _listed(name: str, offset: str, buckets: Buckets) -> list[str]:
    if not buckets:
        return []
    counts = dict(buckets)
    first, last = buckets[0][0], buckets[-1][0]
    texts = " ".join(f"{counts.get(index, 0.0):g}" for index in range(first, last + 1))
    return [f"{offset}:{first}"] * bool(first) + [f"{name}:[{texts}]"]
