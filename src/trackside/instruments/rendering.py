"""The text of a registry, made fast: the text around the numbers is kept, and only what changed is written again.

Its bytes are those of the format's own writer, whose lines it takes the texts from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import compress
from operator import ne

from trackside.instruments.holes import filled, marks, with_holes
from trackside.instruments.measured import Description, LabelValues, Measured, Observed, Raw, Row
from trackside.instruments.registry import SHARED_PREFIXES, Registry
from trackside.model.cheap_typing import NamedTuple, Protocol
from trackside.model.metrics import MetricFamily, MetricType

Render = Callable[[Iterable[MetricFamily]], bytes]
FormatValue = Callable[[float], str]
FormatObserved = Callable[[Observed], str]

# Below it every whole number is written with its digits.
_EXACT_INTEGERS = 2**53


class Words(Protocol):
    """Families that another client has in our registry, and writes itself in the same format."""

    def aside(self) -> AbstractContextManager[bool] | None:
        """Within it they are not in the registry. None: they are to be shown as ours are."""

    def text(self, wanted: Callable[[str], bool]) -> tuple[bytes, set[str]]:
        """Of those whose name is wanted, and their names."""


class _Kept(NamedTuple):
    """The sample lines of a family at the last scrape, one entry for each row."""

    about: Description | None
    """Of one that other processes have, another of the same name may take its place."""
    head: str
    labels: list[LabelValues]
    raw: list[Raw]
    templates: list[str]
    """With a %s where each value goes."""
    texts: list[str]
    text: str


_NOTHING = _Kept(None, "", [], [], [], [], "")


class Rendering:
    """One registry in one text format: a scrape costs what changed since the last one."""

    def __init__(
        self,
        registry: Registry,
        render: Render,
        format_value: FormatValue,
        format_observed: FormatObserved | None = None,
        words: Words | None = None,
    ) -> None:
        """`render` writes families in a format without an end mark, with a name, values and nothing else on the lines
        of samples; `format_value` writes its numbers, and `format_observed` what stands behind them of an observation
        that belonged to a trace: None where the format has no place for it."""
        self._registry = registry
        self._render = render
        self._format = format_value
        self._format_observed = format_observed
        self._words = words
        self._kept: dict[str, _Kept] = {}
        self._holes: dict[Description, str] = {}

    def render(self, only: Callable[[str], bool] | None = None) -> bytes:
        """All families, or those whose name `only` takes."""
        aside = None if self._words is None else self._words.aside()
        if aside is None or self._words is None:
            collected, measured, others = self._registry.collected(), self._registry.measured(), b""
        else:
            with aside:
                collected, measured = self._registry.collected(), self._registry.measured()
            others, names = self._words.text(_wanted(collected, measured, only))
            collected = [family for family in collected if family.name not in names]
        shown = [family for family in collected if only is None or only(family.name)]
        before = self._written_anew(shown) + others
        parts: list[str] = []
        for one in measured:
            if only is None or only(one.description.name):
                begin = len(parts)
                try:
                    self._family(one, parts)
                except Exception as error:  # noqa: BLE001 - see `leave_out`
                    del parts[begin:]
                    self._registry.leave_out(one.description.name, error)
        return before + "".join(parts).encode()

    def _written_anew(self, families: Sequence[MetricFamily]) -> bytes:
        if not families:
            return b""
        try:
            return self._render(families)
        except Exception as error:  # noqa: BLE001 - see `leave_out`
            if len(families) == 1:
                self._registry.leave_out(families[0].name, error)
                return b""
            return b"".join([self._written_anew([family]) for family in families])

    def _family(self, measured: Measured, parts: list[str]) -> None:
        about = measured.description
        kept = self._kept.get(about.name, _NOTHING)
        if kept.about != about:
            head = self._render([MetricFamily(about.name, about.kind, about.help, (), about.unit)]).decode()
            kept = _NOTHING._replace(about=about, head=head)
        # Made anew and replaced at once, so that two scrapes may overlap.
        kept = self._kept[about.name] = self._brought_up(about, measured.rows(), kept)
        parts.append(kept.head)
        observed = self._observed(measured)
        if not observed:
            parts.append(kept.text)
            return
        for labels, raw, template, text in zip(kept.labels, kept.raw, kept.templates, kept.texts, strict=True):
            if labels in observed:
                parts.append(template % self._with_observed(about, self._written(about, raw), observed[labels]))
            else:
                parts.append(text)

    def _brought_up(self, about: Description, rows: Iterable[Row], kept: _Kept) -> _Kept:
        labels: list[LabelValues] = []
        raw: list[Raw] = []
        for key, numbers in rows:
            labels.append(key)
            raw.append(numbers)
        if labels == kept.labels:
            templates, texts = kept.templates, list(kept.texts)
            changed = list(compress(range(len(raw)), map(ne, raw, kept.raw)))
            if about.kind is MetricType.GAUGE:
                # Zero equals minus zero, which is written otherwise, and which only a gauge can be.
                changed += [at for at, numbers in enumerate(raw) if not numbers[0]]
        else:
            known = dict(zip(kept.labels, kept.templates, strict=True))
            templates = [
                known.get(key) or self._template(about, key, numbers) for key, numbers in zip(labels, raw, strict=True)
            ]
            texts, changed = [""] * len(raw), list(range(len(raw)))
        if not changed and labels:
            return kept
        for at in changed:
            texts[at] = templates[at] % self._written(about, raw[at])
        return _Kept(about, kept.head, labels, raw, templates, texts, "".join(texts))

    def _observed(self, measured: Measured) -> Mapping[LabelValues, Mapping[int, Observed]]:
        read = getattr(measured, "observed", None)
        return {} if self._format_observed is None or read is None else read()

    def _with_observed(
        self, about: Description, written: tuple[str | int, ...], observed: Mapping[int, Observed]
    ) -> tuple[str | int, ...]:
        found = list(written)
        # Of a histogram the sum stands first in a raw value, and behind the buckets when it is written.
        first = 1 if about.kind is MetricType.HISTOGRAM else 0
        for at, one in observed.items():
            if first <= at < len(found) + first and self._format_observed is not None:
                found[at - first] = f"{found[at - first]}{self._format_observed(one)}"
        return tuple(found)

    def _template(self, about: Description, labels: LabelValues, raw: Raw) -> str:
        if all(map(_is_plain, labels)):
            holes = self._holes.get(about)
            if holes is None:
                holes = self._holes[about] = with_holes(self._series(about, tuple(marks(len(labels))), raw))
            return filled(holes, labels)
        series = (line.rpartition(" ")[0] for line in self._series(about, labels, raw))
        return "".join(f"{name.replace('%', '%%')} %s\n" for name in series)

    def _series(self, about: Description, labels: LabelValues, raw: Raw) -> list[str]:
        samples = about.samples(labels, [0.0] * len(about.values(raw)))
        # A gauge's lines are the same in all formats and have no header for a nameless help text.
        text = self._render([MetricFamily(about.name, MetricType.GAUGE, "", samples)]).decode()
        # Not splitlines(): a label may hold any of the other characters that end lines in Unicode.
        return [line for line in text.split("\n") if line and not line.startswith("#")]

    def _written(self, about: Description, raw: Raw) -> tuple[str | int, ...]:
        values: Sequence[float] = about.values(raw)
        write = self._format
        return tuple([v if type(v) is int and v < _EXACT_INTEGERS else write(float(v)) for v in values])


def _wanted(
    collected: Iterable[MetricFamily], measured: Iterable[Measured], only: Callable[[str], bool] | None
) -> Callable[[str], bool]:
    """Which families of others are shown: a name of ours is not taken again, unless it is about the process."""
    taken = {one.description.name for one in measured}
    taken |= {family.name for family in collected if not family.name.startswith(SHARED_PREFIXES)}
    return lambda name: name not in taken and (only is None or only(name))


def _is_plain(value: str) -> bool:
    """Whether it stands in a line as it is. An empty one is no label at all."""
    return bool(value) and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value
