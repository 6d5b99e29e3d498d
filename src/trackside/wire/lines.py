"""One line of an exposition taken apart, in time linear in its length whatever it holds.

Everything here works on bytes: a line that was seen before need not be decoded, and the caller can keep the raw bytes
of a series as its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from trackside.exceptions import ParseError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.metrics import Exemplar
from trackside.wire.numbers import parse_value


class Dialect(Enum):
    TEXT = "text"
    """The Prometheus text format, 0.0.4 and 1.0.0."""
    OPENMETRICS = "openmetrics"


# Possessive quantifiers (`*+`) throughout: without them a line that fails at its end would be tried again from every
# position in it.
_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_QUOTED = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BRACES = rb'\{[^"{}]*+(?:' + _QUOTED + rb'[^"{}]*+)*+\}'
_SAMPLE = re.compile(
    rb"[ \t]*+(?P<series>(?P<name>" + _NAME + rb")?+(?:[ \t]*+(?P<braces>" + _BRACES + rb"))?+)"
    rb"(?:[ \t]++|(?<=\}))(?P<value>[^ \t#{]++)"
    rb"(?:[ \t]++(?P<time>[^ \t#{]++))?+"
    rb"(?:[ \t]++#[ \t]*+(?P<exemplar>" + _BRACES + rb")[ \t]++(?P<exemplar_value>[^ \t]++)"
    rb"(?:[ \t]++(?P<exemplar_time>[^ \t]++))?+)?+[ \t]*+"
)
_METADATA = re.compile(
    rb"[ \t]*+#[ \t]++(?P<kind>HELP|TYPE|UNIT)[ \t]++(?P<name>"
    + _NAME
    + rb"|"
    + _QUOTED
    + rb")(?:[ \t](?P<rest>.*+))?+",
    re.S,
)
_METADATA_START = re.compile(rb"[ \t]*+#[ \t]++(?:HELP|TYPE|UNIT)[ \t]")
_LABEL = re.compile(
    rb"[ \t]*+(?P<name>[a-zA-Z_][a-zA-Z0-9_]*+|" + _QUOTED + rb")[ \t]*+"
    rb"(?:=[ \t]*+(?P<value>" + _QUOTED + rb")[ \t]*+)?+(?P<end>,|\Z)"
)
_ESCAPE = re.compile(r'\\([\\"n])')
_MAX_TIME_DIGITS = 20


@dataclass(frozen=True, slots=True)
class SampleLine:
    series: bytes
    """Name and labels as they stand in the line."""
    name: bytes
    """b"" when the name stands in the braces."""
    braces: bytes
    """Labels with their braces; b"" without labels."""
    value: float
    timestamp_ms: int | None = None
    exemplar: Exemplar | None = None


@dataclass(frozen=True, slots=True)
class MetadataLine:
    kind: str
    """One of "HELP", "TYPE", "UNIT"."""
    name: str
    text: str


def sample_line(line: bytes, number: int, dialect: Dialect) -> SampleLine:
    """
    Raises:
        ParseError: not a sample.
    """
    found = _SAMPLE.fullmatch(line)
    if found is None or not found["series"]:
        _refuse_sample(line, number)
    try:
        value = parse_value(found["value"].decode("utf-8", "replace"))
    except ValueError:
        raise ParseError("expected a number as the value", line=number, text=excerpt(found["value"])) from None
    timestamp_ms = None if found["time"] is None else _timestamp_ms(found["time"], number, dialect)
    exemplar = None
    if found["exemplar"] is not None:
        if dialect is Dialect.TEXT:
            raise ParseError("exemplars are OpenMetrics, and this is the text format", line=number, text=excerpt(line))
        exemplar = _exemplar(found, number)
    return SampleLine(found["series"], found["name"] or b"", found["braces"] or b"", value, timestamp_ms, exemplar)


def series_labels(name: bytes, braces: bytes, number: int) -> tuple[str, dict[str, str]]:
    """Name of the series, and its labels without the name. A label may be empty, which says that there is none.

    Raises:
        ParseError: a label that is none, or is there twice; no name, or two.
    """
    in_braces, pairs = _label_pairs(braces, number)
    if in_braces and name:
        raise ParseError("a second metric name inside the braces", line=number, text=in_braces[0])
    if not name and len(in_braces) != 1:
        raise ParseError("expected one metric name", line=number, text=excerpt(braces))
    metric = name.decode("ascii") if name else in_braces[0]
    return metric, pairs


def metadata_line(line: bytes, number: int) -> MetadataLine | None:
    """None: an ordinary comment.

    Raises:
        ParseError: `# TYPE` and the like without a metric's name, or text that is no UTF-8.
    """
    found = _METADATA.fullmatch(line)
    if found is None:
        if _METADATA_START.match(line):
            raise ParseError("expected a metric name after HELP, TYPE or UNIT", line=number, text=excerpt(line))
        return None
    raw_name = found["name"]
    name = _unquoted(raw_name, number) if raw_name.startswith(b'"') else raw_name.decode("ascii")
    return MetadataLine(found["kind"].decode("ascii"), name, _decoded(found["rest"] or b"", number))


def unescaped(text: str) -> str:
    """A backslash before anything else than a backslash, a quote or an n stands for itself, as Prometheus reads it."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def excerpt(raw: bytes) -> str:
    """Enough of a line, however long, to recognise it in an error message."""
    return raw[:320].decode("utf-8", "replace")[:80]


def _label_pairs(braces: bytes, number: int) -> tuple[list[str], dict[str, str]]:
    """Quoted names without a value (the metric's own, in UTF-8 expositions), and the labels."""
    inner = braces[1:-1].rstrip(b" \t")
    names: list[str] = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(inner):
        found = _LABEL.match(inner, at)
        if found is None:
            raise ParseError('expected a label such as name="value"', line=number, text=excerpt(inner[at : at + 320]))
        quoted_name = found["name"].startswith(b'"')
        name = _unquoted(found["name"], number) if quoted_name else found["name"].decode("ascii")
        if found["value"] is None:
            if not quoted_name:
                raise ParseError("expected = and a quoted value after the label's name", line=number, text=name)
            names.append(name)
        else:
            _add_label(pairs, name, _unquoted(found["value"], number), number)
        at = found.end()
    return names, pairs


def _add_label(pairs: dict[str, str], name: str, value: str, number: int) -> None:
    if name in pairs:
        raise ParseError("the same label twice", line=number, text=name)
    if name == METRIC_NAME or not name:
        raise ParseError("no such label may be exposed", line=number, text=name)
    pairs[name] = value


def _unquoted(quoted: bytes, number: int) -> str:
    return unescaped(_decoded(quoted[1:-1], number))


def _decoded(raw: bytes, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("text that is not UTF-8", line=number, text=excerpt(raw)) from None


def _timestamp_ms(raw: bytes, number: int, dialect: Dialect) -> int:
    """Milliseconds in the text format, seconds with a fraction in OpenMetrics."""
    text = raw.decode("utf-8", "replace")
    try:
        if len(text) > _MAX_TIME_DIGITS:
            raise ValueError
        if dialect is Dialect.OPENMETRICS:
            return round(parse_value(text) * 1000)
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise ValueError
        return int(text)
    except (ValueError, OverflowError):
        unit = "seconds" if dialect is Dialect.OPENMETRICS else "whole milliseconds"
        raise ParseError(f"expected a timestamp in {unit}", line=number, text=excerpt(raw)) from None


def _exemplar(found: re.Match[bytes], number: int) -> Exemplar:
    names, pairs = _label_pairs(found["exemplar"], number)
    if names:
        raise ParseError("an exemplar has labels only, and no name", line=number, text=names[0])
    raw_time = found["exemplar_time"]
    try:
        value = parse_value(found["exemplar_value"].decode("utf-8", "replace"))
        timestamp_s = None if raw_time is None else parse_value(raw_time.decode("utf-8", "replace"))
    except ValueError:
        raise ParseError(
            "expected a number in the exemplar", line=number, text=excerpt(found["exemplar_value"])
        ) from None
    return Exemplar(Labels.of(pairs), value, timestamp_s)


def _refuse_sample(line: bytes, number: int) -> NoReturn:
    named = re.match(rb"[ \t]*+" + _NAME, line)
    braced = re.match(rb"[ \t]*+(?:" + _NAME + rb")?+[ \t]*+\{", line)
    if braced is None and named is None:
        reason = "expected a metric name"
    elif braced is not None and re.match(rb"[ \t]*+(?:" + _NAME + rb")?+[ \t]*+" + _BRACES, line) is None:
        reason = 'expected labels such as {name="value"}, closed by }'
    else:
        reason = "expected a value, and at most a timestamp after it"
    raise ParseError(reason, line=number, text=excerpt(line))
