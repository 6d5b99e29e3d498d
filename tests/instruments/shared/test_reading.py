"""Files of cells that are not what they should be: nothing raises, and what can be read is."""

import os
import struct
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackside.instruments.layout import Layout, Shown, columns
from trackside.instruments.measured import Description
from trackside.instruments.registry import Registry
from trackside.instruments.shared import records
from trackside.instruments.shared.cellfile import CellFile
from trackside.instruments.shared.folding import fold
from trackside.instruments.shared.joining import share
from trackside.instruments.shared.layout_text import identity, layout_from, text_of
from trackside.instruments.shared.reading import Reader
from trackside.model.metrics import MetricType

COUNTER = Layout(1, "sum", (Shown(Description("c_total", MetricType.COUNTER, "C.", ("x",)), columns(0, 1)),))
WIDE = Layout(3, "sum", (Shown(Description("h", MetricType.HISTOGRAM, "", (), bounds=(1.0,)), columns(0, 3)),))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a file with a few cells."""
    file = CellFile(tmp_path_factory.mktemp("good") / "1-1.cells")
    for number in range(5):
        file.add(COUNTER, (f"{number}",), (number + 1.0,))
    file.add(WIDE, (), (1.5, 2.0, 3.0))
    data = file.path.read_bytes()
    file.close()
    return data


def read(path):
    contents = Reader(path).read()
    return {(t.layout.width, *key): cell for t in contents.tables for key, cell in contents.cells(t)}, contents


def test_what_was_written_is_read(tmp_path, good):
    (tmp_path / "1-1.cells").write_bytes(good)
    found, contents = read(tmp_path / "1-1.cells")
    assert found == {**{(1, f"{n}"): (n + 1.0,) for n in range(5)}, (3,): (1.5, 2.0, 3.0)}
    assert contents.is_whole
    assert contents.process == os.getpid()


def test_a_file_grows_and_is_read_on(tmp_path):
    file = CellFile(tmp_path / "1-1.cells")
    reader = Reader(file.path)
    cells = []
    for number in range(3_000):
        cells.append(file.add(COUNTER, (f"{number}",)))
        cells[-1][0] = number
        if number % 500 == 0:
            assert sum(len(table.places) for table in reader.read().tables) == number + 1
    contents = reader.read()
    assert dict(contents.cells(contents.tables[0])) == {(f"{n}",): (float(n),) for n in range(3_000)}
    cells[7][0] = 70
    contents = reader.read()
    assert dict(contents.cells(contents.tables[0]))["7",] == (70.0,)
    file.close()


def test_a_cell_larger_than_a_segment(tmp_path):
    file = CellFile(tmp_path / "1-1.cells")
    about = Description("h", MetricType.HISTOGRAM, bounds=tuple(map(float, range(40_000))))
    cell = file.add(Layout(40_002, "sum", (Shown(about, columns(0, 40_002)),)), ())
    cell[40_001] = 5
    after = file.add(COUNTER, ("x",), (2.0,))
    found, contents = read(file.path)
    assert contents.is_whole
    assert found[40_002,][40_001] == 5
    assert found[1, "x"] == (2.0,)
    del cell, after
    file.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_can_be_read(tmp_path, data):
    for body in (
        data,
        records.MAGIC + data,
        records.MAGIC + struct.pack("=7d", 1.0, 64.0 + len(data), *[0.0] * 5) + data,
    ):
        (tmp_path / "1-1.cells").write_bytes(body)
        found, _ = read(tmp_path / "1-1.cells")
        assert isinstance(found, dict)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 800), byte=st.integers(0, 255), cut=st.integers(0, 20_000))
def test_a_damaged_file_can_be_read_and_folded(tmp_path, good, at, byte, cut):
    # Each time another one: in the eyes of others the registries before live on with this process.
    directory = Path(mkdtemp(dir=tmp_path))
    damaged = bytearray(good)
    damaged[at] = byte
    path = directory / "1-1.cells"
    path.write_bytes(bytes(damaged[:cut]))
    read(path)
    registry = Registry()
    membership = share(registry, "shop", where=str(directory))
    for _ in range(2):
        assert registry.collect()
    registry.counter("own").inc()
    assert "own_total" in {s.name for f in registry.collect() for s in f.samples}
    membership.leave()


def test_a_file_that_is_cut_off_while_it_is_read_over_and_over(tmp_path, good):
    path = tmp_path / "1-1.cells"
    path.write_bytes(good)
    reader = Reader(path)
    assert reader.read().is_whole
    used = int(struct.unpack_from("=d", good, 16)[0])
    for length in range(used, -1, -8):
        with path.open("r+b") as file:
            file.truncate(length)
        contents = reader.read()
        for table in contents.tables:
            list(contents.cells(table))
    assert not contents.is_whole


@pytest.mark.parametrize("data", [pytest.param(b"", id="empty"), pytest.param(b"x" * 999, id="something else")])
def test_a_file_of_no_use_is_counted_once_and_goes(tmp_path, data):
    registry = Registry()
    membership = share(registry, "shop", where=str(tmp_path / "shop"))
    (tmp_path / "shop" / "99999999-1.cells").write_bytes(data)
    for _ in range(3):
        registry.collect()
    errors = {s.labels.get("where"): s.value for f in registry.collect() for s in f.samples if "errors" in s.name}
    assert errors.get("damaged file", 0) == 1
    assert not (tmp_path / "shop" / "99999999-1.cells").exists()
    membership.leave()


def test_a_fold_that_ends_anywhere_counts_nothing_twice_and_loses_nothing(tmp_path, good, monkeypatch):
    """As if the process that folds were killed before each of the changes it makes to the directory."""

    class Killed(BaseException):
        pass

    dead = good[:24] + struct.pack("=d", 0.0) + good[32:]
    for fatal in range(8):
        directory = tmp_path / f"{fatal}"
        directory.mkdir(mode=0o700)
        for name in ("1-1.cells", "2-1.cells"):
            (directory / name).write_bytes(dead)
        fold(directory)
        for name in ("3-1.cells", "4-1.cells"):
            (directory / name).write_bytes(dead)
        left = [fatal]

        def counted(change, left=left):
            def made(*args, **named):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return change(*args, **named)

            return made

        with monkeypatch.context() as patch:
            for name in ("unlink", "replace", "write_bytes"):
                patch.setattr(f"pathlib.Path.{name}", counted(getattr(type(directory), name)))
            with suppress(Killed):
                fold(directory)
        registry = Registry()
        membership = share(registry, "shop", where=str(directory))
        for _ in range(2):
            found = {s.labels.get("x"): s.value for f in registry.collect() for s in f.samples if f.name == "c_total"}
            assert found == {f"{n}": 4.0 * (n + 1) for n in range(5)}, fatal
        membership.leave()


@pytest.mark.parametrize(
    "layout",
    [
        COUNTER,
        WIDE,
        Layout(
            2, "live", (Shown(Description("g", MetricType.GAUGE, 'Odd "help"\n', ("a", "pid"), "s"), columns(0, 1)),)
        ),
        Layout(5, "sum", (Shown(COUNTER.shown[0].description, ((0, 1), (2, 4)), (1,), ()),), (0.5,)),
    ],
)
def test_a_layout_is_read_as_it_was_written(layout):
    again = layout_from(text_of(layout))
    assert again == layout
    assert identity(again) == identity(layout)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "null", "[1]", '[1,"sum",[],[]]', "[" * 100_000),
        '[0,"sum",[[["a","counter","",[],"",[]],[[0,1]],null,[]]],[]]',
        '[1,"odd",[[["a","counter","",[],"",[]],[[0,1]],null,[]]],[]]',
        '[1,"sum",[[["a","counter","",[],"",[]],[[0,2]],null,[]]],[]]',
        '[1,"sum",[[["a b","counter","",[],"",[]],[[0,1]],null,[]]],[]]',
    ],
)
def test_what_is_no_layout_is_refused(text):
    with pytest.raises(ValueError):
        layout_from(text)
