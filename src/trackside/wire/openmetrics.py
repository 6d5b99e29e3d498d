"""OpenMetrics 1.0 text: writing and reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, Sample
from trackside.wire.names import escaped_label_value
from trackside.wire.numbers import canonical_bound, format_value
from trackside.wire.rendering import family_name, labels_text, series_text

if TYPE_CHECKING:
    from trackside.wire.reading import Exposition

# Of its labels' names and values together; a longer one makes the whole exposition invalid.
MAX_EXEMPLAR_CHARACTERS = 128


def render(families: Iterable[MetricFamily], *, utf8_names: bool = True) -> bytes:
    """The body of a `/metrics` answer, families in the order given. Without `utf8_names`, names outside the old
    character set are written with underscores."""
    lines: list[str] = []
    for family in families:
        name = _family(family)
        written = family_name(name, utf8_names=utf8_names)
        lines.append(f"# TYPE {written} {family.type.value}")
        if family.unit and name.endswith("_" + family.unit):
            lines.append(f"# UNIT {written} {family.unit}")
        if family.help:
            lines.append(f"# HELP {written} {escaped_label_value(family.help)}")
        lines.extend(_sample_line(_sample_name(family, name, sample), sample, utf8_names) for sample in family.samples)
    lines.append("# EOF\n")
    return "\n".join(lines).encode("utf-8", "replace")


def _family(family: MetricFamily) -> str:
    """In this format a family is named without its samples' suffix."""
    if family.type is MetricType.COUNTER:
        return family.name.removesuffix("_total")
    if family.type is MetricType.INFO:
        return family.name.removesuffix("_info")
    return family.name


def _sample_name(family: MetricFamily, name: str, sample: Sample) -> str:
    if family.type is MetricType.COUNTER and sample.name == name:
        return name + "_total"
    if family.type is MetricType.INFO and sample.name == name:
        return name + "_info"
    return sample.name


def _sample_line(name: str, sample: Sample, utf8_names: bool) -> str:
    labels = _with_canonical_bound(name, sample.labels)
    line = f"{series_text(name, labels, utf8_names=utf8_names)} {format_value(sample.value)}"
    if sample.timestamp_ms is not None:
        line += f" {seconds_text(sample.timestamp_ms)}"
    if sample.exemplar is not None and name.endswith(("_total", "_bucket")):
        line += exemplar_text(sample.exemplar, utf8_names)
    return line


def _with_canonical_bound(name: str, labels: Labels) -> Labels:
    """Readers of this format may insist on le="1.0" where the text format has le="1"."""
    if not name.endswith("_bucket"):
        return labels
    return Labels(tuple((key, canonical_bound(value) if key == "le" else value) for key, value in labels.pairs))


def exemplar_text(exemplar: Exemplar, utf8_names: bool) -> str:
    """What stands behind a value. "" for one that is too long: better no link to a trace than no metrics."""
    if sum(len(name) + len(value) for name, value in exemplar.labels.pairs) > MAX_EXEMPLAR_CHARACTERS:
        return ""
    text = f" # {{{labels_text(exemplar.labels, utf8_names=utf8_names)}}} {format_value(exemplar.value)}"
    return text if exemplar.timestamp_s is None else f"{text} {exemplar.timestamp_s:.3f}"


def seconds_text(milliseconds: int) -> str:
    """1500 → "1.5"."""
    whole, rest = divmod(abs(milliseconds), 1000)
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{whole}.{rest:03}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}"


def parse(body: bytes) -> Exposition:
    """
    Raises:
        ParseError: `body` is not OpenMetrics text, or its end is missing.
    """
    # Applications write expositions and never read one: they do not pay for the reader's import.
    from trackside.wire.lines import Dialect  # noqa: PLC0415 - see above
    from trackside.wire.reading import read  # noqa: PLC0415 - see above

    return read(body, Dialect.OPENMETRICS)
