"""Expected against found: alerts as label sets, samples as labels with a value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.rules.unit_tests.file import AlertTest, ExprTest
from trackside.server.rules.unit_tests.native import NativeHistogram, parse_native
from trackside.server.rules.unit_tests.notation import parse_metric

AlertKey = tuple[Labels, Labels]
"""Labels and annotations."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a test expected and that is not so."""

    line: int
    """In the file of the test."""
    what: str
    """Such as "alert Down at 5m"."""
    reason: str = ""
    """Of an error; else what was expected and what was found differ."""
    expected: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    hint: str = ""
    """Why it may be so, and was not once."""


@dataclass(frozen=True, slots=True)
class FoundSample:
    labels: Labels
    value: float = 0.0
    native: NativeHistogram | None = None

    def __str__(self) -> str:
        shown = str(self.native) if self.native is not None else f"{self.value!r}".removesuffix(".0")
        return f"{self.labels if self.labels else '{}'} {shown}"


def expected_alerts(test: AlertTest) -> list[AlertKey]:
    return sorted(
        (Labels.of({**alert.exp_labels, "alertname": test.alertname}), Labels.of(alert.exp_annotations))
        for alert in test.exp_alerts
    )


def firing_alerts(alerts: Iterable[Alert]) -> list[AlertKey]:
    return sorted((alert.labels, alert.annotations) for alert in alerts if alert.state is AlertState.FIRING)


def alert_texts(alerts: Iterable[AlertKey]) -> tuple[str, ...]:
    return tuple(
        str(labels) + "".join(f"\n  {name}: {text}" for name, text in annotations) for labels, annotations in alerts
    )


def expected_samples(test: ExprTest) -> list[FoundSample]:
    """
    Raises:
        QueryError: the labels are no label set, or the histogram none.
    """
    return [
        FoundSample(
            parse_metric(sample.labels), sample.value, parse_native(sample.histogram) if sample.histogram else None
        )
        for sample in test.exp_samples
    ]


def same_samples(expected: Sequence[FoundSample], found: Sequence[FoundSample], *, fuzzy: bool) -> bool:
    """In any order."""
    if len(expected) != len(found):
        return False
    pairs = zip(sorted(expected, key=_order), sorted(found, key=_order), strict=True)
    return all(_same(one, other, fuzzy=fuzzy) for one, other in pairs)


def _order(sample: FoundSample) -> Labels:
    return sample.labels


def _same(one: FoundSample, other: FoundSample, *, fuzzy: bool) -> bool:
    if one.labels != other.labels or one.native != other.native:
        return False
    first, second = one.value, other.value
    if first == second or (math.isnan(first) and math.isnan(second)):
        return True
    return fuzzy and second in (math.nextafter(first, math.inf), math.nextafter(first, -math.inf))
