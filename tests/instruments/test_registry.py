import pytest

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample


def family(name, value=1.0):
    return MetricFamily(name, MetricType.GAUGE, "", [Sample(name, Labels(), value)])


def names(registry):
    return [f.name for f in registry.collect() if f.samples]


def test_the_same_call_gives_the_same_instrument():
    registry = Registry()
    assert registry.counter("c", "help", ("a",)) is registry.counter("c_total", "other help", ["a"])
    assert registry.gauge("g") is registry.gauge("g")
    assert registry.histogram("h", labels=("a",)) is registry.histogram("h", labels=("a",))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(
            lambda r: r.gauge("taken_total"),
            r"counter taken_total\{a, b\}; wanted gauge taken_total\{\}",
            id="another kind",
        ),
        pytest.param(
            lambda r: r.counter("taken", labels=("b", "a")),
            r"counter taken_total\{a, b\}; wanted counter taken_total\{b, a\}",
            id="other labels",
        ),
        pytest.param(
            lambda r: r.histogram("spread", buckets=(1, 3)),
            r"buckets 1.0, 2.0; .* buckets 1.0, 3.0",
            id="other buckets",
        ),
        pytest.param(lambda r: r.gauge("spread_count"), "already histogram spread", id="a series of a histogram"),
        pytest.param(lambda r: r.counter("trackside_sdk_errors"), "name is taken", id="the registry's own"),
        pytest.param(lambda r: r.histogram("x", labels=("le",)), '"le"', id="the label of buckets"),
        pytest.param(lambda r: r.gauge("9lives"), "not a metric name: '9lives'", id="a digit first"),
        pytest.param(lambda r: r.gauge("a-b"), "not a metric name", id="a dash"),
        pytest.param(lambda r: r.gauge(""), "not a metric name", id="no name"),
        pytest.param(lambda r: r.gauge("line\n"), "not a metric name", id="a line break"),
        pytest.param(lambda r: r.gauge("x", labels=("a:b",)), "not a label name: 'a:b'", id="a colon in a label"),
        pytest.param(lambda r: r.gauge("x", labels=("__name__",)), "not a label name", id="a reserved label"),
        pytest.param(lambda r: r.gauge("x", labels=(1,)), "not a label name: 1", id="a label that is no text"),
        pytest.param(lambda r: r.gauge("x", labels=("a", "a")), "given twice", id="a label twice"),
        pytest.param(lambda r: r.gauge("x", labels="method"), r'labels=\("method",\)', id="a text for labels"),
    ],
)
def test_a_mistake_in_the_making_is_an_error_that_says_so(make, says):
    registry = Registry()
    registry.counter("taken", labels=("a", "b"))
    registry.histogram("spread", buckets=(1, 2))
    with pytest.raises(ValueError, match=says):
        make(registry)


def test_the_unit_is_part_of_the_name():
    registry = Registry()
    registry.counter("sent", unit="bytes")
    registry.gauge("age_seconds", unit="seconds")
    registry.histogram("wait", unit="seconds")
    found = registry.collect()
    assert [f.name for f in found[:3]] == ["sent_bytes_total", "age_seconds", "wait_seconds"]
    assert [f.unit for f in found[:3]] == ["bytes", "seconds", "seconds"]


def test_families_come_in_the_order_they_were_made():
    registry = Registry()
    for name in ("b", "a", "c"):
        registry.gauge(name)
    assert names(registry) == ["b", "a", "c"]


def test_a_collector_that_raises_is_left_out_and_counted():
    registry = Registry()

    def half():
        yield family("half")
        raise RuntimeError

    registry.add_collector(lambda: [family("before")])
    registry.add_collector(half)
    registry.add_collector(lambda: 1 / 0)
    registry.add_collector(lambda: [family("after")])
    registry.gauge("own")
    assert names(registry) == ["before", "after", "own", "trackside_sdk_errors_total"]
    assert registry.collect()[-1].samples[0].value == 4
    assert registry.collect()[-1].samples[0].labels.get("where") == "collector"


def test_a_collector_given_twice_is_asked_once():
    registry = Registry()
    asked = []

    def collector():
        asked.append(1)
        return []

    registry.add_collector(collector)
    registry.add_collector(collector)
    registry.collect()
    assert len(asked) == 1


def test_each_name_is_shown_once():
    registry = Registry()
    registry.gauge("mine").set(1)
    registry.add_collector(lambda: [family("mine", 2), family("twice", 3), family("process_threads", 4)])
    registry.add_collector(lambda: [family("twice", 5), family("process_threads", 6)])
    assert {f.name: f.samples[0].value for f in registry.collect() if f.samples} == {
        "mine": 1,
        "twice": 3,
        # Of the process itself the client that came later knows as much, and its dashboards are there already.
        "process_threads": 6,
    }
