"""What a forked process has counted, given to its parent: a process that lives for one job would else take it along."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any

from trackside.instruments import native
from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge
from trackside.instruments.histogram import Histogram
from trackside.instruments.measured import LabelValues
from trackside.instruments.native_histogram import NativeHistogram
from trackside.instruments.registry import Registry

MAX_BYTES = 8 * 1024 * 1024

Values = dict[tuple[str, LabelValues], Sequence[float]]
Kind = Counter | Gauge | Histogram


class Handover:
    """Made before the fork, filled in the child, read in the parent when the child has ended, in whatever way."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # A file without a name that both have open: a pipe would fill up, and a child that is killed leaves nothing.
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by `take`
        self._before: Values = {}
        self._unknown: set[str] = set()

    def begin(self) -> None:
        """In the child: what is counted from here on is the child's."""
        with self._registry.alone():
            self._before, self._unknown = {}, set()
            for measured in self._registry.measured():
                if isinstance(measured, Kind):
                    # What is not known to be there from before would be counted once more.
                    self._unknown.add(measured.description.name)
                    with self._leaving_out(measured.description.name):
                        self._before.update(_values(measured))
                        self._unknown.remove(measured.description.name)

    def give(self, **more: str) -> None:
        """In the child, at its end. `more` is handed over too."""
        # Where cells are shared the parent has them already, but gauges end with the process that set them.
        kinds = Gauge if self._registry.is_shared else Kind
        # A line for each: one that cannot be written or read takes no other with it.
        lines = [json.dumps(more)]
        with self._registry.alone():
            for measured in self._registry.measured():
                if isinstance(measured, kinds) and measured.description.name not in self._unknown:
                    with self._leaving_out(measured.description.name):
                        lines += _changes(measured, self._before)
        self._file.write("\n".join(lines).encode())
        self._file.flush()

    def take(self) -> dict[str, str]:
        """In the parent: add what the child has counted to what is counted here. What it gave besides; {} when it did
        not come to that."""
        with self._file:
            self._file.seek(0)
            body = self._file.read(MAX_BYTES + 1)
        if not body or len(body) > MAX_BYTES:
            return {}
        first, *lines = body.split(b"\n")
        for line in lines:
            about, rows = json.loads(line)
            with self._leaving_out(about["name"]):
                # The child may have imported a module that makes an instrument the parent does not have yet.
                instrument: Any = getattr(self._registry, about.pop("kind"))(**about)
                for label_values, raw in rows:
                    with self._leaving_out(instrument.description.name):
                        _add(instrument, label_values, raw)
        more: dict[str, str] = json.loads(first)
        return more

    @contextmanager
    def _leaving_out(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - what cannot be handed over must not take all the rest with it
            self._registry.leave_out(name, error)


def _values(measured: Kind) -> Values:
    return {(measured.description.name, label_values): raw for label_values, raw in _rows(measured)}


def _rows(measured: Kind) -> Iterable[tuple[LabelValues, Sequence[float]]]:
    return measured.cells() if isinstance(measured, NativeHistogram) else measured.rows()


def _changes(measured: Kind, before: Values) -> list[str]:
    rows = []
    for label_values, raw in _rows(measured):
        was = before.get((measured.description.name, label_values))
        if raw != was:
            # Of a gauge what it says now; of the others what came in addition.
            rows.append(
                (label_values, raw if was is None or isinstance(measured, Gauge) else _added(measured, raw, was))
            )
    return [json.dumps((_described(measured), rows))] if rows else []


def _added(measured: Kind, raw: Sequence[float], was: Sequence[float]) -> list[float]:
    if isinstance(measured, NativeHistogram):
        return native.difference(raw, was, measured.base)
    return [now - then for now, then in zip(raw, was, strict=True)]


def _described(measured: Kind) -> dict[str, Any]:
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
    if isinstance(measured, NativeHistogram):
        described.update(kind="native_histogram", schema=measured.schema)
    return described


def _add(instrument: Any, label_values: Sequence[str], raw: Sequence[float]) -> None:
    child = instrument.labels(*label_values)
    if isinstance(instrument, Histogram):
        child.add(raw)
    elif isinstance(instrument, Counter):
        child.inc(raw[0])
    else:
        child.set(raw[0])
