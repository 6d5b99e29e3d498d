"""From the text of a page to series ids and values: what was parsed once is looked up by its bytes ever after.

Parsing labels costs twenty times what looking up a known series costs, and nearly every line of a scrape is a known
series with a new number behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from trackside.exceptions import ParseError
from trackside.model.labels import Labels
from trackside.server.scrape.labeling import Labeling
from trackside.server.scrape.layout import NO_HEAD, Layout
from trackside.server.series import Bools, Float64s, Int64s, Series
from trackside.wire.lines import Dialect, MetadataLine, SampleLine, metadata_line, sample_line, series_labels
from trackside.wire.reading import Metadata, checked_lines, is_comment

DROPPED = -1
"""In the place of a series id: relabeling drops the series."""
_UNKNOWN = -2
_COMMENT = -3
NO_REFS: Int64s = np.zeros(0, dtype=np.int64)
# The cache may hold this many more series than the page has before those that vanished are forgotten.
_SPARE = 1_000
# Families a target may describe, and characters it may use for it; more is no documentation any more.
MAX_FAMILIES = 10_000
MAX_HELP = 1_000

Described = tuple[str, str, str]
"""Type, help and unit of a family."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What of a page is to be stored."""

    refs: Int64s
    """Shape (s,), without duplicates."""
    values: Float64s
    timed: tuple[Series, ...]
    """Samples that came with a time of their own."""
    timed_refs: Int64s
    """Their series, each once."""
    scraped: int
    kept: int
    """After relabeling."""
    duplicates: int
    same_series: bool
    """Whether `refs` are those of the page before: allows to skip looking for what vanished."""


@dataclass(slots=True)
class Reading:
    """A page after the lookup: ids where the series was known, labels where it was not."""

    dialect: Dialect
    lines: list[bytes]
    refs: list[int] = field(default_factory=list)
    """Of each line; `_COMMENT` where there is no sample, `_UNKNOWN` where `keys` says more."""
    values: Float64s = field(default_factory=lambda: np.zeros(0))
    """Of each line; 0 where there is no sample."""
    heads: list[bytes] = field(default_factory=list)
    """Of each line: all that stands before the number, if it is a plain one."""
    keys: dict[int, bytes] = field(default_factory=dict)
    """Index of each line that was not recognised, and the text of its series."""
    irregular: dict[int, bytes] = field(default_factory=dict)
    """The same for those that will not be recognised either."""
    times_ms: dict[int, int] = field(default_factory=dict)
    """Index of a line, and its time, where the target gave one."""
    new: dict[bytes, Labels | None] = field(default_factory=dict)
    """Text of series that were never seen, and their labels in the store; None: dropped."""
    metadata: Metadata = field(default_factory=lambda: Metadata(Dialect.TEXT))
    fits: bool = False
    """The page has the layout of the one before, which holds its numbers now."""


class SeriesCache:
    """Of one target. `read` may run on any thread, one call at a time and never beside another method."""

    def __init__(self, labeling: Labeling) -> None:
        self._labeling = labeling
        self._refs: dict[bytes, int] = {}
        self._timed: dict[bytes, Labels] = {}
        self._comments: dict[bytes, MetadataLine | None] = {}
        self._metadata = Metadata(Dialect.TEXT)
        self._layout: Layout | None = None

    def read(self, body: bytes, dialect: Dialect) -> Reading:
        """
        Raises:
            ParseError: the body is no exposition.
            LimitError: a series has more labels, or longer ones, than the job allows.
        """
        lines = checked_lines(body, dialect)
        reading = Reading(dialect, lines, metadata=Metadata(dialect))
        if self._layout is not None and self._layout.update(lines, dialect):
            reading.fits = True
            return reading
        self._look_up(reading)
        self._forget(reading)
        return reading

    def counts(self, reading: Reading) -> tuple[int, int]:
        """Samples of the page, and those of them that relabeling keeps. Needs nothing to be learned."""
        if reading.fits and self._layout is not None:
            return self._layout.scraped, self._layout.kept
        kept = sum(ref >= 0 for ref in reading.refs)
        for key in reading.keys.values():
            known = self._refs.get(key)
            kept += reading.new.get(key) is not None if known is None else known >= 0
        return sum(ref != _COMMENT for ref in reading.refs), kept

    def learn(self, ids: Mapping[bytes, int]) -> None:
        """Ids of series of `Reading.new`, or `DROPPED`."""
        self._refs.update(ids)

    def samples(self, reading: Reading) -> Samples:
        """All of `reading.new` must have been learned before."""
        if reading.fits and self._layout is not None:
            return _of_layout(self._layout, same_series=True)
        for index, key in reading.keys.items():
            reading.refs[index] = self._refs[key]
        refs = np.array(reading.refs, dtype=np.int64)
        self._metadata = reading.metadata
        if reading.times_ms:
            self._layout = None
            return self._with_times(reading, refs)
        self._layout = _layout_of(reading, refs)
        return _of_layout(self._layout, same_series=False)

    def described(self) -> dict[str, Described]:
        """Type, help and unit of each family of the last page."""
        return {
            family.name: (family.type.value, family.help[:MAX_HELP], family.unit)
            for family in self._metadata.families(MAX_FAMILIES)
        }

    def _look_up(self, reading: Reading) -> None:
        parts = [line.rpartition(b" ") for line in reading.lines]
        reading.heads = [part[0] + b" " for part in parts]
        texts = [part[2] for part in parts]
        known = [self._refs.get(part[0]) for part in parts]
        for index, ref in enumerate(known):
            if ref is None:
                known[index], texts[index] = self._read_line(reading, reading.lines[index], index)
        reading.refs = cast("list[int]", known)
        reading.values = _numbers(reading, texts)

    def _read_line(self, reading: Reading, line: bytes, index: int) -> tuple[int, bytes]:
        """Id and number of a line that was not recognised: a comment, a new series, a time, an exemplar."""
        if not line or line.isspace() or is_comment(line):
            self._note(reading, line, index + 1)
            reading.heads[index] = NO_HEAD
            return _COMMENT, b"0"
        parsed = sample_line(line, index + 1, reading.dialect)
        key = reading.keys[index] = parsed.series
        honored = parsed.timestamp_ms if self._labeling.config.honor_timestamps else None
        if honored is not None:
            reading.times_ms[index] = honored
        if key not in reading.new and (key not in self._refs or (honored is not None and key not in self._timed)):
            reading.new[key] = self._labels(reading, parsed, index + 1)
        if reading.heads[index] != key + b" " or parsed.exemplar is not None:
            reading.heads[index] = NO_HEAD
            reading.irregular[index] = key
        return _UNKNOWN, repr(parsed.value).encode("ascii")

    def _labels(self, reading: Reading, parsed: SampleLine, number: int) -> Labels | None:
        name, exposed = series_labels(parsed.name, parsed.braces, number)
        return self._labeling.stored(name, exposed, reading.metadata.type_of(name), number)

    def _note(self, reading: Reading, line: bytes, number: int) -> None:
        if line in self._comments:
            noted = self._comments[line]
        else:
            noted = metadata_line(line, number)
            if len(self._comments) > MAX_FAMILIES:
                self._comments.clear()
            if len(line) <= MAX_HELP:
                self._comments[line] = noted
        if noted is not None:
            reading.metadata.note(noted, number)

    def _with_times(self, reading: Reading, refs: Int64s) -> Samples:
        keys = reading.keys
        for index in reading.times_ms:
            if (labels := reading.new.get(keys[index])) is not None:
                self._timed[keys[index]] = labels
        timed = tuple(
            Series(
                self._timed[keys[index]],
                np.array([time_ms], dtype=np.int64),
                reading.values[index : index + 1].copy(),
            )
            for index, time_ms in reading.times_ms.items()
            if refs[index] != DROPPED
        )
        wanted = refs >= 0
        plain = np.ones(len(refs), dtype=np.bool_)
        plain[list(reading.times_ms)] = False
        keep = _first_of_each(refs, plain & wanted)
        kept = int(np.count_nonzero(wanted))
        return Samples(
            refs[keep],
            reading.values[keep],
            timed,
            np.unique(refs[~plain & wanted]),
            scraped=int(np.count_nonzero(refs != _COMMENT)),
            kept=kept,
            duplicates=kept - len(timed) - int(np.count_nonzero(keep)),
            same_series=False,
        )

    def _forget(self, reading: Reading) -> None:
        """Drop the series that are not in this page, once they are most of the cache.

        Before anything new is learned, so that it also happens on pages that are refused later.
        """
        if len(self._refs) <= 2 * len(reading.lines) + _SPARE:
            return
        current = {head[:-1] for head in reading.heads} | set(reading.keys.values())
        self._refs = {key: ref for key, ref in self._refs.items() if key in current}
        self._timed = {key: labels for key, labels in self._timed.items() if key in current}


def _numbers(reading: Reading, texts: list[bytes]) -> Float64s:
    """
    Raises:
        ParseError: a known series has no number behind it.
    """
    try:
        # float() takes 1_000, which no exposition may say.
        if b"_" not in b"".join(texts):
            return np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        pass
    # Now by the book, to say what is wrong and where.
    for index, ref in enumerate(reading.refs):
        if ref != _COMMENT:
            sample_line(reading.lines[index], index + 1, reading.dialect)
    raise ParseError("expected a number behind each series", line=1)


def _layout_of(reading: Reading, refs: Int64s) -> Layout:
    wanted = refs >= 0
    keep = _first_of_each(refs, wanted)
    kept = int(np.count_nonzero(wanted))
    return Layout(
        reading.dialect,
        reading.lines,
        reading.heads,
        reading.irregular,
        reading.values,
        keep,
        refs[keep],
        scraped=int(np.count_nonzero(refs != _COMMENT)),
        kept=kept,
        duplicates=kept - int(np.count_nonzero(keep)),
    )


def _of_layout(layout: Layout, *, same_series: bool) -> Samples:
    return Samples(
        layout.refs,
        layout.values[layout.keep],
        (),
        NO_REFS,
        layout.scraped,
        layout.kept,
        layout.duplicates,
        same_series,
    )


def _first_of_each(refs: Int64s, wanted: Bools) -> Bools:
    """`wanted` without the samples whose series stands in the page before them."""
    unique, first = np.unique(refs[wanted], return_index=True)
    if len(unique) == int(np.count_nonzero(wanted)):
        return wanted
    keep = np.zeros(len(refs), dtype=np.bool_)
    keep[np.flatnonzero(wanted)[first]] = True
    return keep
