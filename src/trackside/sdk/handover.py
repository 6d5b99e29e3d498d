"""What a forked process has counted, given to its parent: a process that lives for one job would else take it along."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO, Any

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge
from trackside.instruments.histogram import Histogram
from trackside.instruments.measured import LabelValues, Raw
from trackside.instruments.registry import Registry

MAX_BYTES = 8 * 1024 * 1024

Values = dict[tuple[str, LabelValues], Raw]


class Handover:
    """Made before the fork, filled in the child, read in the parent when the child has ended, in whatever way."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # A file without a name that both have open: a pipe would fill up, and a child that is killed leaves nothing.
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by `take`
        self._before: Values = {}

    def begin(self) -> None:
        """In the child: what is counted from here on is the child's."""
        with self._registry.alone():
            self._before = dict(_values(self._registry))

    def give(self, **more: str) -> None:
        """In the child, at its end. `more` is handed over too."""
        # Where cells are shared the parent has them already, but gauges end with the process that set them.
        kinds = (Gauge,) if self._registry.is_shared else (Counter, Gauge, Histogram)
        with self._registry.alone():
            changes = list(_changes(self._registry, self._before, kinds))
        self._file.write(json.dumps({"more": more, "changes": changes}).encode())
        self._file.flush()

    def take(self) -> dict[str, str]:
        """In the parent: add what the child has counted to what is counted here. What it gave besides; {} when it did
        not come to that."""
        with self._file:
            self._file.seek(0)
            body = self._file.read(MAX_BYTES + 1)
        if not body or len(body) > MAX_BYTES:
            return {}
        given = json.loads(body)
        for about, rows in given["changes"]:
            _add(self._registry, about, rows)
        more: dict[str, str] = given["more"]
        return more


def _values(registry: Registry) -> Iterator[tuple[tuple[str, LabelValues], Raw]]:
    for measured in registry.measured():
        if isinstance(measured, Counter | Gauge | Histogram):
            for label_values, raw in measured.rows():
                yield (measured.description.name, label_values), raw


def _changes(
    registry: Registry, before: Values, kinds: tuple[type[Counter] | type[Gauge] | type[Histogram], ...]
) -> Iterator[tuple[dict[str, Any], list[tuple[LabelValues, Raw]]]]:
    for measured in registry.measured():
        if not isinstance(measured, kinds):
            continue
        about = measured.description
        rows = []
        for label_values, raw in measured.rows():
            was = before.get((about.name, label_values))
            if raw != was:
                # Of a gauge what it says now; of the others what came in addition.
                added = raw if was is None or isinstance(measured, Gauge) else _difference(raw, was)
                rows.append((label_values, added))
        if rows:
            yield _described(measured), rows


def _difference(raw: Raw, was: Raw) -> Raw:
    return tuple(now - then for now, then in zip(raw, was, strict=True))


def _described(measured: Counter | Gauge | Histogram) -> dict[str, Any]:
    about = measured.description
    described: dict[str, Any] = {
        # The name of the registry's method that makes it.
        "kind": about.kind.value,
        "name": about.name,
        "help": about.help,
        "labels": about.label_names,
        "unit": about.unit,
    }
    if about.bounds:
        described["buckets"] = about.bounds
    return described


def _add(registry: Registry, about: dict[str, Any], rows: Sequence[tuple[Sequence[str], Sequence[float]]]) -> None:
    # The child may have imported a module that makes an instrument the parent does not have yet.
    instrument: Any = getattr(registry, about.pop("kind"))(**about)
    for label_values, raw in rows:
        child = instrument.labels(*label_values)
        if isinstance(instrument, Histogram):
            with registry.lock:
                for at, amount in zip(range(len(child.cell)), raw, strict=True):
                    child.cell[at] += amount
        elif isinstance(instrument, Counter):
            child.inc(raw[0])
        else:
            child.set(raw[0])
