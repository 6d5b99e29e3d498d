"""The text of a registry, made fast: the text around the numbers is kept, and only what changed is written again.

Its bytes are those of the format's own writer, whose lines it takes the texts from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trackside.instruments.measured import Description, LabelValues, Measured, Raw
from trackside.instruments.registry import Registry
from trackside.model.metrics import MetricFamily, MetricType

Render = Callable[[Iterable[MetricFamily]], bytes]
FormatValue = Callable[[float], str]

# Below it every whole number is written with its digits.
_EXACT_INTEGERS = 2**53


@dataclass(slots=True)
class _Lines:
    """The sample lines of one row."""

    template: str
    """With a %s where each value goes."""
    raw: Raw
    text: str


class Rendering:
    """One registry in one text format: a scrape costs what changed since the last one."""

    def __init__(self, registry: Registry, render: Render, format_value: FormatValue) -> None:
        """`render` writes families in a format without an end mark, with a name, values and nothing else on the lines
        of samples; `format_value` writes its numbers."""
        self._registry = registry
        self._render = render
        self._format = format_value
        self._known: dict[str, dict[LabelValues, _Lines]] = {}
        self._heads: dict[str, str] = {}

    def render(self, only: Callable[[str], bool] | None = None) -> bytes:
        """All families, or those whose name `only` takes."""
        collected = [family for family in self._registry.collected() if only is None or only(family.name)]
        parts = [self._render(collected).decode()] if collected else []
        for measured in self._registry.measured():
            if only is None or only(measured.description.name):
                self._family(measured, parts)
        return "".join(parts).encode()

    def _family(self, measured: Measured, parts: list[str]) -> None:
        about = measured.description
        head = self._heads.get(about.name)
        if head is None:
            empty = MetricFamily(about.name, about.kind, about.help, (), about.unit)
            head = self._heads[about.name] = self._render([empty]).decode()
        parts.append(head)
        # Built anew, so that removed children are forgotten; replaced at once, so that two scrapes may overlap.
        before = self._known.get(about.name, {})
        now: dict[LabelValues, _Lines] = {}
        for labels, raw in measured.rows():
            lines = before.get(labels)
            if lines is None:
                lines = self._new_lines(about, labels, raw)
            elif lines.raw != raw:
                lines = _Lines(lines.template, raw, lines.template % self._written(about, raw))
            now[labels] = lines
            parts.append(lines.text)
        self._known[about.name] = now

    def _new_lines(self, about: Description, labels: LabelValues, raw: Raw) -> _Lines:
        values = about.values(raw)
        samples = about.samples(labels, [0.0] * len(values))
        # A gauge's lines are the same in all formats and have no header for a nameless help text.
        text = self._render([MetricFamily(about.name, MetricType.GAUGE, "", samples)]).decode()
        # Not splitlines(): a label may hold any of the other characters that end lines in Unicode.
        series = [line.rpartition(" ")[0] for line in text.split("\n") if line and not line.startswith("#")]
        template = "".join(f"{name.replace('%', '%%')} %s\n" for name in series)
        return _Lines(template, raw, template % self._written(about, raw))

    def _written(self, about: Description, raw: Raw) -> tuple[str | int, ...]:
        values: Sequence[float] = about.values(raw)
        write = self._format
        return tuple([v if type(v) is int and v < _EXACT_INTEGERS else write(v) for v in values])
