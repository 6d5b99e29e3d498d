"""What is kept between two scrapes never belongs to another file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.instruments.layout import Layout, Shown, columns
from trackside.instruments.measured import Description
from trackside.instruments.registry import Registry
from trackside.instruments.shared.adding import Adding, Source
from trackside.instruments.shared.joining import share
from trackside.instruments.shared.records import CellAt
from trackside.model.metrics import MetricType

PAIRS = Layout(2, "sum", (Shown(Description("c_total", MetricType.COUNTER, "", ("x",)), columns(0, 1)),))


def source(cells, hidden=()):
    """A file with these cells: {key: numbers}."""
    places, doubles = [], [-7.0]
    for key, numbers in cells.items():
        places.append(CellAt((key,), len(doubles), len(numbers)))
        doubles.extend((*numbers, 0.0 if key in hidden else 1.0))
    return Source(places, [*doubles, 0.0], bool(hidden))


FILE = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 9), st.integers(0, 9)))


@given(scrapes=st.lists(st.lists(st.tuples(FILE, st.sets(st.sampled_from("abcd"))), max_size=3), max_size=4))
def test_the_sum_is_that_of_the_cells(scrapes):
    adding = Adding(PAIRS)
    for files in scrapes:
        expected = {}
        for cells, hidden in files:
            for key, numbers in cells.items():
                if key not in hidden:
                    known = expected.get((key,), (0, 0))
                    expected[key,] = tuple(a + b for a, b in zip(known, numbers, strict=True))
        assert adding.total([source(cells, hidden) for cells, hidden in files]) == expected


def test_a_file_that_grows_is_read_on():
    adding, places = Adding(PAIRS), [CellAt(("a",), 0, 2)]
    assert adding.total([Source(places, [1, 2, 1, 0], False)]) == {("a",): (1, 2)}
    places.append(CellAt(("b",), 3, 2))
    assert adding.total([Source(places, [1, 2, 1, 5, 6, 1, 0], False)]) == {("a",): (1, 2), ("b",): (5, 6)}


def test_no_sources():
    assert Adding(PAIRS).total([]) == {}


@pytest.mark.parametrize("which", [0, 1], ids=["its own", "another's"])
def test_a_file_that_was_made_anew_is_not_taken_for_the_one_before(tmp_path, which):
    registries = [Registry(), Registry()]
    for registry in registries:
        share(registry, "shop", where=str(tmp_path / "shop"))
    changing, shown = registries[0], registries[which]
    gone, stays = changing.counter("gone", labels=("x",)), changing.counter("stays", labels=("x",))
    # In the new file they stand in the order of their families.
    for number in range(20):
        stays.labels(number).inc(number + 1)
        gone.labels(number).inc()
    expected = {("stays_total", str(number)): number + 1 for number in range(20)}

    def values():
        return {
            (sample.name, *(text for _, text in sample.labels.pairs)): sample.value
            for family in shown.collect()
            for sample in family.samples
            if sample.name.startswith(("gone", "stays"))
        }

    assert values() == {**expected, **{("gone_total", str(number)): 1 for number in range(20)}}
    first = changing.membership._cells.file
    number = 0
    while changing.membership._cells.file is first:
        gone.labels(number).inc()
        gone.remove(number)
        number += 1
    for number in range(20):
        gone.remove(number)
    assert values() == expected
    for registry in registries:
        registry.membership.leave()
