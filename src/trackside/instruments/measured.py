"""What every instrument shows of itself: a description, and rows of raw values that become series only when scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from math import isinf
from sys import float_info
from typing import Any

from trackside.model.cheap_typing import NamedTuple, Protocol
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

LabelValues = tuple[str, ...]
Raw = tuple[float, ...]
"""One number of a counter or gauge; of a histogram the sum, then the count of each bucket (not added up); of a summary
the count and the sum."""
Row = tuple[LabelValues, Raw]
ReportError = Callable[[str], None]
"""Counts an internal error under the name of the place where it happened."""


class Observed(NamedTuple):
    """One observation that belonged to a trace."""

    trace_id: str
    span_id: str
    value: float
    at_s: float


LARGEST = float_info.max
"""What is finite: a whole number may be beyond it."""
OVERFLOW = "(overflow)"
"""Every label of the one series that takes what comes after a cap."""


class _Described(NamedTuple):
    name: str
    kind: MetricType
    help: str = ""
    label_names: tuple[str, ...] = ()
    unit: str = ""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets without the last, which is +Inf."""


class Description(_Described):
    """What stands above the samples of a family, and how a row of raw values becomes series.

    Raises:
        ValueError: it is none; the message says why.
    """

    __slots__ = ()

    def __init__(self, *described: object, **more: object) -> None:
        # A named tuple has its values by now; they are checked here.
        if not _is_identifier(self.name.replace(":", "_")):
            raise ValueError(f"not a metric name: {self.name!r}; expected letters, digits, _ and :, no digit first")
        for label in self.label_names:
            if not isinstance(label, str) or not _is_identifier(label) or label.startswith("__"):
                raise ValueError(
                    f"{self.name}: not a label name: {label!r}; expected letters, digits and _, no __ first"
                )
        if len(set(self.label_names)) < len(self.label_names):
            raise ValueError(f"{self.name}: a label name is given twice: {', '.join(self.label_names)}")
        if self.kind is MetricType.HISTOGRAM and "le" in self.label_names:
            raise ValueError(f'{self.name}: a histogram cannot have a label "le", which names its buckets')

    @property
    def shape(self) -> str:
        """In words, without the help text: descriptions of equal shape are one instrument."""
        text = f"{self.kind.value} {self.name}{{{', '.join(self.label_names)}}}"
        if self.bounds:
            text += f" with buckets {', '.join(map(repr, self.bounds))}"
        return text + (f" in {self.unit}" if self.unit else "")

    @property
    def series_names(self) -> tuple[str, ...]:
        """Of its samples: no other family may have one of them."""
        if self.kind is MetricType.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum")
        if self.kind is MetricType.SUMMARY:
            return (f"{self.name}_count", f"{self.name}_sum")
        return (self.name,)

    def values(self, raw: Raw) -> Sequence[float]:
        """One number for each of `samples`, in their order: of a histogram the added up buckets, count, sum."""
        if self.kind is not MetricType.HISTOGRAM:
            return raw
        running = list(accumulate(raw[1:]))
        return [*running, running[-1], raw[0]]

    def samples(self, label_values: LabelValues, values: Sequence[float]) -> list[Sample]:
        pairs = tuple(zip(self.label_names, label_values, strict=True))
        if self.kind is not MetricType.HISTOGRAM:
            labels = Labels.of(pairs)
            return [Sample(name, labels, value) for name, value in zip(self.series_names, values, strict=True)]
        bucket, count, total = self.series_names
        found = [
            Sample(bucket, Labels.of((*pairs, ("le", bound_text(bound)))), value)
            for bound, value in zip((*self.bounds, float("inf")), values, strict=False)
        ]
        labels = Labels.of(pairs)
        return [*found, Sample(count, labels, values[-2]), Sample(total, labels, values[-1])]


def _is_identifier(text: str) -> bool:
    # As fast as a regular expression, which would have to be compiled at every import.
    return text.isascii() and text.isidentifier()


class Measured(Protocol):
    """One family of series that can be read at any moment, from any thread."""

    @property
    def description(self) -> Description: ...

    def rows(self) -> Iterable[Row]:
        """All label sets with their raw values of this moment: where several processes share them, of the last time
        their registry was asked what it has. Never raises."""


def family_of(measured: Measured) -> MetricFamily:
    about = measured.description
    samples = [
        sample
        for labels, raw in measured.rows()
        for sample in about.samples(labels, tuple(map(float, about.values(raw))))
    ]
    return MetricFamily(about.name, about.kind, about.help, samples, about.unit)


def bound_text(bound: float) -> str:
    """As OpenMetrics writes a bound: "0.005", "1.0", "1e+06", "+Inf"."""
    if isinf(bound):
        return "+Inf"
    text = repr(float(bound))
    whole, _, fraction = text.partition(".")
    digits = whole.lstrip("-")
    if len(digits) < 7 or "e" in text:
        return text
    # Where Go, which is the measure here, changes over to an exponent.
    mantissa = f"{digits[0]}.{digits[1:]}{fraction}".rstrip("0").rstrip(".")
    return f"{'-' if bound < 0 else ''}{mantissa}e+{len(digits) - 1:02}"


def plain(number: Any) -> float:
    """As it is counted: whole numbers stay whole, others of any type (Decimal, Fraction, numpy's) become floats, which
    can be added to each other.

    Raises:
        TypeError, ValueError, OverflowError: it is no number.
    """
    if type(number) is int:
        return number
    # Python would read a number from them.
    if isinstance(number, str | bytes | bytearray):
        raise TypeError("expected a number")
    return float(number)
