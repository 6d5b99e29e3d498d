"""The Prometheus text format 0.0.4, and its 1.0.0 with quoted names: writing and reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.wire.numbers import format_value
from trackside.wire.rendering import family_name, series_text

if TYPE_CHECKING:
    from trackside.wire.reading import Exposition

# The types this format has no word for, and what they look like to those who read it.
_TYPE_WORDS = {
    MetricType.INFO: "gauge",
    MetricType.STATESET: "gauge",
    MetricType.UNKNOWN: "untyped",
    MetricType.GAUGE_HISTOGRAM: "histogram",
}
_HAS_CREATED = frozenset({MetricType.COUNTER, MetricType.HISTOGRAM, MetricType.SUMMARY})


def render(families: Iterable[MetricFamily], *, utf8_names: bool = True) -> bytes:
    """The body of a `/metrics` answer, families in the order given. Exemplars and units are left out: the format has
    no place for them. Without `utf8_names`, names outside the old character set are written with underscores."""
    lines: list[str] = []
    for family in families:
        created = _created(family)
        samples = [s for s in family.samples if s.name != created[0].name] if created else family.samples
        name = _text_name(family)
        _render_family(lines, name, family, samples, utf8_names)
        if created:
            # Times of creation are samples of the family in OpenMetrics only; here they are gauges of their own.
            lines.append(f"# TYPE {family_name(created[0].name, utf8_names=utf8_names)} gauge")
            lines.extend(_sample_line(sample, utf8_names) for sample in created)
    lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


def _render_family(
    lines: list[str], name: str, family: MetricFamily, samples: Sequence[Sample], utf8_names: bool
) -> None:
    written = family_name(name, utf8_names=utf8_names)
    if family.help:
        lines.append(f"# HELP {written} {_escaped_help(family.help)}")
    lines.append(f"# TYPE {written} {_TYPE_WORDS.get(family.type, family.type.value)}")
    lines.extend(_sample_line(sample, utf8_names) for sample in samples)


def _sample_line(sample: Sample, utf8_names: bool) -> str:
    line = f"{series_text(sample.name, sample.labels, utf8_names=utf8_names)} {format_value(sample.value)}"
    return line if sample.timestamp_ms is None else f"{line} {sample.timestamp_ms}"


def _created(family: MetricFamily) -> list[Sample]:
    if family.type not in _HAS_CREATED:
        return []
    name = family.name.removesuffix("_total") + "_created"
    return [sample for sample in family.samples if sample.name == name]


def _text_name(family: MetricFamily) -> str:
    """In this format a family is named as its samples are."""
    if family.type is MetricType.INFO and not family.name.endswith("_info"):
        return family.name + "_info"
    if family.type is MetricType.COUNTER and not family.name.endswith("_total"):
        with_total = family.name + "_total"
        return with_total if any(sample.name == with_total for sample in family.samples) else family.name
    return family.name


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def parse(body: bytes) -> Exposition:
    """
    Raises:
        ParseError: `body` is not in the text format, or ends in the middle of a line.
    """
    # Applications write expositions and never read one: they do not pay for the reader's import.
    from trackside.wire.lines import Dialect  # noqa: PLC0415 - see above
    from trackside.wire.reading import read  # noqa: PLC0415 - see above

    return read(body, Dialect.TEXT)
