"""Samples of an exposition gathered into families: what both text formats have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from trackside.exceptions import ParseError
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.wire.lines import Dialect, MetadataLine, excerpt, metadata_line, sample_line, series_labels, unescaped

_SUFFIXES = {
    MetricType.COUNTER: ("_total", "_created"),
    MetricType.HISTOGRAM: ("_bucket", "_sum", "_count", "_created"),
    MetricType.GAUGE_HISTOGRAM: ("_bucket", "_gsum", "_gcount"),
    MetricType.SUMMARY: ("_sum", "_count", "_created"),
    MetricType.INFO: ("_info",),
}
_ALL_SUFFIXES = tuple(dict.fromkeys(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes))
_TEXT_TYPES = {
    "counter": MetricType.COUNTER,
    "gauge": MetricType.GAUGE,
    "histogram": MetricType.HISTOGRAM,
    "summary": MetricType.SUMMARY,
    "untyped": MetricType.UNKNOWN,
}
_OPENMETRICS_TYPES = {kind.value: kind for kind in MetricType}


@dataclass(frozen=True, slots=True)
class Exposition:
    families: tuple[MetricFamily, ...]

    def samples(self) -> Iterator[Sample]:
        for family in self.families:
            yield from family.samples


@dataclass(slots=True)
class _Draft:
    """A family while it is being read."""

    type: MetricType = MetricType.UNKNOWN
    help: str = ""
    unit: str = ""
    samples: list[Sample] = field(default_factory=list)


class Metadata:
    """Types, helps and units of an exposition, and the family each sample belongs to."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.drafts: dict[str, _Draft] = {}

    def note(self, line: MetadataLine, number: int) -> None:
        """
        Raises:
            ParseError: a type that the format does not know.
        """
        openmetrics = self._dialect is Dialect.OPENMETRICS
        draft = self.drafts.setdefault(line.name, _Draft())
        if line.kind == "HELP":
            draft.help = unescaped(line.text) if openmetrics else _unescaped_help(line.text)
        elif line.kind == "UNIT" and openmetrics:
            draft.unit = line.text.strip()
        elif line.kind == "TYPE":
            types = _OPENMETRICS_TYPES if openmetrics else _TEXT_TYPES
            word = line.text.strip(" \t")
            if word not in types:
                raise ParseError(f"expected a type ({', '.join(types)})", line=number, text=line.text)
            draft.type = types[word]

    def family(self, sample_name: str) -> str:
        """Name of the family, as the exposition writes it; the sample's own when nothing was said about it."""
        if sample_name in self.drafts:
            return sample_name
        for suffix in _ALL_SUFFIXES:
            if sample_name.endswith(suffix):
                name = sample_name.removesuffix(suffix)
                draft = self.drafts.get(name)
                if draft is not None and suffix in _SUFFIXES.get(draft.type, ()):
                    return name
        return sample_name

    def type_of(self, sample_name: str) -> MetricType:
        draft = self.drafts.get(self.family(sample_name))
        return MetricType.UNKNOWN if draft is None else draft.type

    def families(self, limit: int | None = None) -> tuple[MetricFamily, ...]:
        """The first `limit` of them, in the order of the exposition."""
        return tuple(
            MetricFamily(self._registered_name(name, draft), draft.type, draft.help, tuple(draft.samples), draft.unit)
            for name, draft in islice(self.drafts.items(), limit)
        )

    def _registered_name(self, name: str, draft: _Draft) -> str:
        """With the suffix that OpenMetrics leaves out of the family's name."""
        suffix = {MetricType.COUNTER: "_total", MetricType.INFO: "_info"}.get(draft.type, "")
        if self._dialect is Dialect.TEXT or name.endswith(suffix):
            return name
        return name + suffix


def read(body: bytes, dialect: Dialect) -> Exposition:
    """
    Raises:
        ParseError: `body` does not follow the format.
    """
    metadata = Metadata(dialect)
    for number, line in enumerate(checked_lines(body, dialect), start=1):
        if not line or line.isspace():
            continue
        if is_comment(line):
            if (noted := metadata_line(line, number)) is not None:
                metadata.note(noted, number)
            continue
        parsed = sample_line(line, number, dialect)
        name, labels = series_labels(parsed.name, parsed.braces, number)
        sample = Sample(name, Labels.of(labels), parsed.value, parsed.timestamp_ms, parsed.exemplar)
        metadata.drafts.setdefault(metadata.family(name), _Draft()).samples.append(sample)
    return Exposition(metadata.families())


def is_comment(line: bytes) -> bool:
    return line.lstrip(b" \t").startswith(b"#")


def checked_lines(body: bytes, dialect: Dialect) -> list[bytes]:
    """Lines of a body that is whole: one that was cut off would hold a wrong last value.

    Raises:
        ParseError: the end is missing, or a NUL is inside.
    """
    lines = body.split(b"\n")
    # Only "\n" ends a line: other characters that look like line ends are part of labels.
    if b"\0" in body:
        number = body.count(b"\n", 0, body.index(b"\0")) + 1
        raise ParseError("a NUL byte", line=number, text=excerpt(lines[number - 1]))
    if dialect is Dialect.OPENMETRICS:
        return _before_eof(lines)
    if lines[-1]:
        raise ParseError("the last line has no end: the answer was cut off", line=len(lines), text=excerpt(lines[-1]))
    lines.pop()
    return lines


def _before_eof(lines: list[bytes]) -> list[bytes]:
    if lines[-1] == b"":
        lines.pop()
    if not lines or lines[-1] != b"# EOF":
        last = lines[-1] if lines else b""
        raise ParseError("expected # EOF at the end: the answer was cut off", line=len(lines) or 1, text=excerpt(last))
    lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line:
            raise ParseError("an empty line", line=number)
        if line.startswith(b"#") and not line.startswith((b"# TYPE ", b"# HELP ", b"# UNIT ")):
            reason = "text after # EOF" if line == b"# EOF" else "expected # TYPE, # HELP or # UNIT"
            raise ParseError(reason, line=number, text=excerpt(line))
    return lines


def _unescaped_help(text: str) -> str:
    """The text format escapes no quotes in helps."""
    return text if "\\" not in text else "\\".join(part.replace("\\n", "\n") for part in text.split("\\\\"))
