"""An in-memory store, and a reader of scripts in promqltest's format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from trackside.exceptions import QueryError
from trackside.model.durations import parse_duration
from trackside.model.labels import Labels
from trackside.server.promql.engine import Engine
from trackside.server.regex import matches_all
from trackside.server.series import HOLE, STALE, Frame, QueryResult, Scalar, Text, is_marker

TESTDATA = Path(__file__).parent / "testdata"


class MemoryQuerier:
    """Series in dicts. `layout` says how they share frames: each "alone", or "together" with holes between them."""

    def __init__(self, layout: str = "alone") -> None:
        self.layout = layout
        self.samples: dict[Labels, dict[int, float]] = {}
        self.selected = 0

    def add(self, labels: Labels, points: dict[int, float]) -> None:
        self.samples.setdefault(labels, {}).update(points)

    def select(self, matchers, start_ms: int, end_ms: int) -> Iterator[Frame]:
        found = {}
        for labels in self._matching(matchers):
            points = {at: value for at, value in self.samples[labels].items() if start_ms <= at <= end_ms}
            if points:
                found[labels] = points
        groups = [list(found)] if self.layout == "together" else [[labels] for labels in found]
        for group in filter(None, groups):
            self.selected += 1
            yield self._frame({labels: found[labels] for labels in group})

    def _frame(self, series: dict[Labels, dict[int, float]]) -> Frame:
        times_ms = sorted({at for points in series.values() for at in points})
        rows = {at: row for row, at in enumerate(times_ms)}
        values = np.full((len(rows), len(series)), HOLE)
        for column, points in enumerate(series.values()):
            for at, value in points.items():
                values[rows[at], column] = value
        return Frame(tuple(series), np.array(times_ms, dtype=np.int64), values, bool(is_marker(values).any()))

    def _matching(self, matchers) -> list[Labels]:
        return [labels for labels in self.samples if matches_all(matchers, labels)]

    def series(self, matchers, start_ms: int, end_ms: int) -> list[Labels]:
        return sorted(self._matching(matchers))

    def label_names(self, matchers, start_ms: int, end_ms: int) -> list[str]:
        return sorted({name for labels in self._matching(matchers) for name, _ in labels})

    def label_values(self, name: str, matchers, start_ms: int, end_ms: int) -> list[str]:
        return sorted({labels.get(name) for labels in self._matching(matchers)} - {""})


# --- scripts ---------------------------------------------------------------------------------------------------------


@dataclass
class Eval:
    file: str
    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    """0 for an instant query."""
    loads: list[tuple[int, list[str]]]
    """Step and series lines of what was loaded before."""
    expected: list[str] = field(default_factory=list)
    expects: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


_INSTANT = re.compile(r"eval instant at (\S+) (.+)")
_RANGE = re.compile(r"eval range from (\S+) to (\S+) step (\S+) (.+)")
_RUN = re.compile(r"([-+]?[\w.]+?)(?:([-+][\w.]+))?x(\d+)")


def read_script(path: Path) -> list[Eval]:
    evals: list[Eval] = []
    loads: list[tuple[int, list[str]]] = []
    block: list[str] | None = None
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        if not line:
            block = None
        elif line == "clear":
            loads = []
        elif line.startswith("load "):
            block = []
            loads = [*loads, (parse_duration(line.split()[1]), block)]
        elif line.startswith("eval "):
            evals.append(_read_eval(path.name, number, line, loads))
            block = evals[-1].expected
        elif line.startswith("expect "):
            evals[-1].expects.append(line.removeprefix("expect "))
        else:
            assert block is not None, f"{path.name}:{number}: {line!r} belongs to nothing"
            block.append(line)
    return evals


def _read_eval(file: str, number: int, line: str, loads: list[tuple[int, list[str]]]) -> Eval:
    if instant := _INSTANT.fullmatch(line):
        at_ms = parse_duration(instant[1])
        return Eval(file, number, instant[2], at_ms, at_ms, 0, loads)
    found = _RANGE.fullmatch(line)
    assert found, f"{file}:{number}: {line!r}"
    start_ms, end_ms, step_ms = (parse_duration(found[group]) for group in (1, 2, 3))
    return Eval(file, number, found[4], start_ms, end_ms, step_ms, loads)


def _series_line(line: str) -> tuple[Labels, list[float | None]]:
    """`up{job="a"} 1 _ 2+1x3 stale`."""
    closing = line.rindex("}") + 1 if "}" in line else line.index(" ")
    selector, values = line[:closing], line[closing:]
    pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', selector))
    if name := selector.split("{")[0]:
        pairs["__name__"] = name
    return Labels.of(pairs), [value for item in values.split() for value in _values(item)]


def _values(item: str) -> list[float | None]:
    if item == "stale":
        return [STALE]
    if found := re.fullmatch(r"_(?:x(\d+))?", item):
        return [None] * int(found[1] or 1)
    if found := _RUN.fullmatch(item):
        return [float(found[1]) + float(found[2] or 0) * position for position in range(int(found[3]) + 1)]
    return [float(item)]


def store_of(case: Eval, layout: str) -> MemoryQuerier:
    store = MemoryQuerier(layout)
    for step_ms, lines in case.loads:
        for line in lines:
            labels, values = _series_line(line)
            store.add(labels, {i * step_ms: value for i, value in enumerate(values) if value is not None})
    return store


def points_of(result: QueryResult, rows_only_at_ms: int | None = None) -> dict[Labels, dict[int, float]]:
    """Labels and points of any result, in its own order."""
    value = result.value
    if isinstance(value, tuple):
        return {each.labels: dict(zip(each.times_ms.tolist(), each.values.tolist(), strict=True)) for each in value}
    if isinstance(value, Scalar):
        return {Labels(): {value.time_ms: value.value}}
    assert not isinstance(value, Text)
    steps = value.steps_ms.tolist()
    every = {
        labels: {at: v for at, v, here in zip(steps, row.tolist(), there, strict=True) if here}
        for labels, row, there in zip(value.labels, value.values, value.present, strict=True)
    }
    if rows_only_at_ms is None:
        return every
    at_time = {labels: {at: v for at, v in points.items() if at == rows_only_at_ms} for labels, points in every.items()}
    return {labels: points for labels, points in at_time.items() if points}


def assert_same_points(found: dict[Labels, dict[int, float]], wanted: dict[Labels, dict[int, float]]) -> None:
    assert {labels: list(points) for labels, points in found.items()} == {
        labels: list(points) for labels, points in wanted.items()
    }
    for labels, points in wanted.items():
        for at, value in points.items():
            actual = found[labels][at]
            same = math.isclose(actual, value, rel_tol=1e-9) or (math.isnan(value) and math.isnan(actual))
            assert same, f"{labels} at {at} ms is {actual}, not {value}"


def check(case: Eval, layout: str) -> None:
    """Run one eval and compare; an instant one also as the middle of a range query."""
    engine = Engine(store_of(case, layout))
    fail = next((line for line in case.expects if line.startswith("fail")), None)
    if fail is not None:
        with pytest.raises(QueryError, match=re.escape(fail.partition("msg:")[2].strip())):
            _run(engine, case)
        return
    result = _run(engine, case)
    for kind, texts in (("warn", result.warnings), ("info", result.infos)):
        wanted = [line for line in case.expects if line.startswith(kind)]
        assert len(wanted) == len(texts), texts
        for line in wanted:
            assert any(line.partition("msg:")[2].strip() in text for text in texts), texts
    if isinstance(result.value, Text):
        assert case.expected == [f'"{result.value.value}"']
        return
    wanted = _wanted(case)
    assert_same_points(points_of(result), wanted)
    if "ordered" in case.expects:
        assert list(points_of(result)) == list(wanted)
    elif case.step_ms:
        assert list(points_of(result)) == sorted(wanted)
    depends_on_range = re.search(r"(range|step|start|end|sort\w*)\(", case.query)
    if not case.step_ms and not isinstance(result.value, tuple) and not depends_on_range:
        middle = engine.range(case.query, case.start_ms - 60_000, case.start_ms + 60_000, 60_000)
        assert_same_points(points_of(middle, case.start_ms), wanted)


def _run(engine: Engine, case: Eval) -> QueryResult:
    if case.step_ms:
        return engine.range(case.query, case.start_ms, case.end_ms, case.step_ms)
    return engine.instant(case.query, case.start_ms)


def _wanted(case: Eval) -> dict[Labels, dict[int, float]]:
    wanted = {}
    for line in case.expected:
        if re.fullmatch(r"[-+]?[\w.]+", line):
            line = "{} " + line
        labels, values = _series_line(line)
        step_ms = case.step_ms or 1
        wanted[labels] = {case.start_ms + i * step_ms: v for i, v in enumerate(values) if v is not None}
    return wanted


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "script_case" in metafunc.fixturenames:
        cases = [case for path in sorted(TESTDATA.glob("*.test")) for case in read_script(path)]
        metafunc.parametrize("script_case", cases, ids=str)


@pytest.fixture
def check_case():
    return check


@pytest.fixture
def memory():
    """A store from series lines: `memory("up 1 2 3", step_ms=15_000)`."""

    def make(*lines: str, step_ms: int = 15_000, layout: str = "alone") -> MemoryQuerier:
        case = Eval("", 0, "", 0, 0, 0, loads=[(step_ms, list(lines))])
        return store_of(case, layout)

    return make


@pytest.fixture
def points():
    return points_of
