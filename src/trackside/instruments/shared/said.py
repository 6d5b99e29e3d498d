"""What the collectors of a process say, in a file beside its cells: other processes cannot ask them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trackside.instruments.measured import ReportError
from trackside.instruments.registry import Across
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

Said = list[tuple[MetricFamily, Across]]

MAX_BYTES = 16 * 1024 * 1024


def text_of(families: Iterable[tuple[MetricFamily, Across]]) -> str:
    return json.dumps(
        [
            [
                *(family.name, family.type.value, family.help, family.unit, across),
                [[sample.name, sample.labels.pairs, sample.value] for sample in family.samples],
            ]
            for family, across in families
        ]
    )


def families_of(text: str) -> Said:
    """
    Raises:
        ValueError: it is none of ours, or not whole.
    """
    try:
        return [_family(plain) for plain in json.loads(text)]
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("no families") from error


def _family(plain: Any) -> tuple[MetricFamily, Across]:
    name, kind, help, unit, across, samples = plain
    if across not in ("pid", "sum"):
        raise ValueError(across)
    found = [
        Sample(str(series), Labels.of((str(key), str(text)) for key, text in labels), float(value))
        for series, labels, value in samples
    ]
    return MetricFamily(str(name), MetricType(kind), str(help), found, str(unit)), across


class SaidReader:
    """Of one process, over and over."""

    def __init__(self, path: Path, report: ReportError) -> None:
        self._path = path
        self._report = report
        self._stamp = (0, 0)
        self._last: Said = []

    def read(self) -> Said:
        """Nothing while there is none that can be read."""
        try:
            about = self._path.lstat()
            if (about.st_ino, about.st_mtime_ns) != self._stamp:
                # Before it is read: what cannot be is reported once.
                self._stamp, self._last = (about.st_ino, about.st_mtime_ns), []
                if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
                    raise ValueError(f"{about.st_size} bytes")
                self._last = families_of(self._path.read_text())
        except FileNotFoundError:
            # Nothing was said yet, or the process has just ended.
            self._last, self._stamp = [], (0, 0)
        except (OSError, ValueError):
            self._report("damaged file")
        return self._last


def write(path: Path, text: str) -> None:
    """
    Raises:
        OSError: there is no room.
    """
    new = path.with_name(f".{path.name}")
    new.write_text(text)
    new.replace(path)


def across(
    own: int, own_said: Iterable[tuple[MetricFamily, Across]], theirs: Iterable[tuple[int, Said]]
) -> list[MetricFamily]:
    """One family of each name. `own` is the id of this process."""
    found: dict[str, tuple[MetricFamily, Across, dict[tuple[str, Labels], Sample]]] = {}
    for family, how in own_said:
        how = _how(family, how)
        found[family.name] = (family, how, {})
        _add(found[family.name][2], family, how, own)
    for process, said in theirs:
        for family, how in said:
            how = _how(family, how)
            known = found.setdefault(family.name, (family, how, {}))
            if known[1] == how:
                _add(known[2], family, how, process)
    return [
        MetricFamily(family.name, family.type, family.help, tuple(samples.values()), family.unit)
        if how != "own"
        else family
        for family, how, samples in found.values()
    ]


def _how(family: MetricFamily, how: Across) -> Across:
    # The sum of counters would go back when a process ends.
    return "pid" if how == "sum" and family.type is not MetricType.GAUGE else how


def _add(samples: dict[tuple[str, Labels], Sample], family: MetricFamily, how: Across, process: int) -> None:
    if how == "own":
        return
    for sample in family.samples:
        labels = sample.labels if how == "sum" else Labels.of((*sample.labels.pairs, ("pid", str(process))))
        known = samples.get((sample.name, labels))
        value = sample.value if known is None else known.value + sample.value
        samples[sample.name, labels] = Sample(sample.name, labels, value)
