"""Children by label values: kept, capped, and never a reason for the app to fail."""

import gc
from enum import Enum
from threading import Thread

import pytest

from trackside.instruments.registry import Registry


class Colour(str, Enum):  # noqa: UP042 - StrEnum prints its value; this one does not
    RED = "red"


class Unhashable:
    __hash__ = None

    def __str__(self):
        return "shown"


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")


def labels_of(instrument):
    return [values for values, _ in instrument.rows()]


def errors(registry, where):
    family = next(f for f in registry.collect() if f.name == "trackside_sdk_errors_total")
    return sum(s.value for s in family.samples if s.labels.get("where") == where)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("plain", "plain", id="text"),
        pytest.param(404, "404", id="a number"),
        pytest.param(True, "True", id="a boolean"),
        pytest.param(None, "None", id="nothing"),
        pytest.param(Colour.RED, "red", id="a text enumeration"),
        pytest.param("", "", id="empty"),
        pytest.param("\udce9t\udce9", "?t?", id="undecodable bytes"),
        pytest.param(Unhashable(), "shown", id="what cannot be hashed"),
    ],
)
def test_label_values_become_text(value, text):
    counter = Registry().counter("c", labels=("a",))
    counter.labels(value).inc()
    assert labels_of(counter) == [(text,)]


def test_a_child_is_kept_and_found_by_position_and_by_name():
    counter = Registry().counter("c", labels=("method", "path"))
    child = counter.labels("GET", "/")
    assert counter.labels("GET", "/") is child
    assert counter.labels(path="/", method="GET") is child
    assert counter.labels(Colour.RED, 1) is counter.labels("red", "1")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param((), {}, id="none"),
        pytest.param(("a",), {}, id="too few"),
        pytest.param(("a", "b", "c"), {}, id="too many"),
        pytest.param((), {"x": "a"}, id="too few names"),
        pytest.param((), {"x": "a", "z": "b"}, id="a wrong name"),
        pytest.param((), {"x": "a", "y": "b", "z": "c"}, id="too many names"),
        pytest.param(("a",), {"y": "b"}, id="both ways at once"),
        pytest.param(("a", Unprintable()), {}, id="a value without text"),
    ],
)
def test_wrong_labels_are_counted_and_change_nothing(values, named):
    registry = Registry()
    counter = registry.counter("c", labels=("x", "y"))
    counter.labels(*values, **named).inc()
    assert counter.rows() == []
    assert errors(registry, "labels") == 1


def test_using_a_labelled_instrument_without_labels_is_counted_and_changes_nothing():
    registry = Registry()
    registry.counter("c", labels=("x",)).inc()
    registry.gauge("g", labels=("x",)).set(1)
    with registry.histogram("h", labels=("x",)).time():
        pass
    assert errors(registry, "labels") == 3
    assert all(not m.rows() for m in registry.measured()[:-1])


def test_label_sets_beyond_the_cap_share_one_series():
    registry = Registry(max_series=3)
    counter = registry.counter("c", labels=("a", "b"))
    for number in range(1_000):
        counter.labels(number, "x").inc()
    assert counter.rows()[:3] == [((str(n), "x"), (1.0,)) for n in range(3)]
    assert counter.rows()[3:] == [(("(overflow)", "(overflow)"), (997.0,))]


def test_the_cap_is_one_of_the_instrument():
    registry = Registry()
    counter, gauge = registry.counter("c", labels=("a",)), registry.gauge("g", labels=("a",))
    counter.max_series = 1
    for value in "xyz":
        counter.labels(value).inc()
        gauge.labels(value).set(1)
    assert [len(counter.rows()), len(gauge.rows())] == [2, 3]


def test_by_default_an_instrument_has_two_thousand_series():
    counter = Registry().counter("c", labels=("a",))
    for number in range(2_100):
        counter.labels(number).inc()
    assert len(counter.rows()) == 2_001


def test_preset_label_sets_are_shown_before_they_happen():
    counter = Registry().counter("c", labels=("kind",))
    counter.preset(("good",), ("bad",))
    assert counter.rows() == [(("good",), (0.0,)), (("bad",), (0.0,))]


def test_removed_children_are_gone_and_make_room():
    registry = Registry(max_series=1)
    counter = registry.counter("c", labels=("a",))
    counter.labels("x").inc()
    counter.remove("x")
    counter.remove("never there")
    counter.remove("too", "many")
    counter.labels("y").inc()
    assert labels_of(counter) == [("y",)]
    assert errors(registry, "labels") == 1
    counter.labels("z").inc()
    counter.clear()
    assert counter.rows() == []


def test_clearing_an_instrument_without_labels_sets_it_to_zero():
    counter = Registry().counter("c")
    counter.inc()
    counter.clear()
    assert counter.rows() == [((), (0.0,))]


def test_threads_lose_no_update_and_make_each_child_once():
    counter = Registry().counter("c", labels=("a",))

    def work():
        for number in range(2_000):
            counter.labels(number % 7).inc()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counter.rows()) == 7
    assert sum(raw[0] for _, raw in counter.rows()) == 8_000


def test_counting_while_the_lock_is_held_by_the_same_thread_does_not_wait_for_itself():
    """A finalizer or a signal handler runs wherever it likes."""
    registry = Registry()
    counter = registry.counter("c")

    class Dying:
        def __del__(self):
            counter.inc()

    with registry.lock:
        Dying()
        gc.collect(0)
    assert counter.rows() == [((), (1.0,))]
