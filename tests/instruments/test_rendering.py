"""The fast text must be the slow one, byte by byte, at every moment."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.instruments.measured import Description
from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.wire import exposition
from trackside.wire.numbers import format_value

VALUES = st.one_of(
    st.text(max_size=8), st.sampled_from(['"', "\\", "\n", "%", "%s", "%(x)d", "é", "\udc00", "", "{}", " 0"])
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=0),
    st.integers(min_value=0, max_value=2**60),
    st.sampled_from([0, 1, 0.1, 1e16, 2**53, 2**53 + 1, 5e-324]),
)
GAUGES = st.one_of(NUMBERS, st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, -1]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("inc"), VALUES, NUMBERS),
        st.tuples(st.just("set"), VALUES, GAUGES),
        st.tuples(st.just("observe"), VALUES, NUMBERS),
        st.tuples(st.just("remove"), VALUES, st.just(0)),
        st.tuples(st.just("scrape"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


def made(help="Help with \\ and\nlines."):
    registry = Registry(max_series=4)
    instruments = (
        registry.counter("c", help, ("a", "le")),
        registry.gauge("g", "", ("a",)),
        registry.histogram("h", help, ("a",), buckets=(0.1, 1, 1e6)),
    )
    return registry, instruments


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_text_is_that_of_the_writer_of_the_format_whatever_happened_between_two_scrapes(steps):
    registry, (counter, gauge, histogram) = made()
    rendering = Rendering(registry, exposition.render, format_value)

    def compare():
        assert rendering.render() == exposition.render(registry.collect())

    for step, label, number in steps:
        if step == "inc":
            counter.labels(label, "x").inc(number)
        elif step == "set":
            gauge.labels(label).set(number)
        elif step == "observe":
            histogram.labels(label).observe(number)
        elif step == "remove":
            counter.remove(label, "x")
            histogram.remove(label)
        else:
            compare()
    compare()


def test_zero_and_minus_zero_are_two_texts():
    registry, (_, gauge, _) = made()
    rendering = Rendering(registry, exposition.render, format_value)
    for value in (0.0, -0.0, 0.0):
        gauge.labels("x").set(value)
        assert rendering.render() == exposition.render(registry.collect())


def test_families_of_collectors_are_there_too():
    registry, (counter, _, _) = made()
    registry.add_collector(
        lambda: [MetricFamily("up", MetricType.GAUGE, "", [Sample("up", Labels.of(x='"'), 1.0, 1_234)])]
    )
    counter.labels("a", "b").inc()
    rendering = Rendering(registry, exposition.render, format_value)
    assert b'up{x="\\""} 1 1234\n' in rendering.render()
    assert rendering.render() == exposition.render(registry.collect())


def test_only_some_families():
    registry, (counter, _, _) = made()
    registry.add_collector(lambda: [MetricFamily("up", MetricType.GAUGE, "", [Sample("up", Labels(), 1.0)])])
    counter.labels("a", "b").inc()
    rendering = Rendering(registry, exposition.render, format_value)
    assert rendering.render(lambda name: name == "up") == b"# TYPE up gauge\nup 1\n"
    assert rendering.render(lambda name: name == "g") == b"# TYPE g gauge\n"
    assert rendering.render(lambda name: False) == b""


def test_numbers_that_did_not_change_are_not_written_again():
    registry, (_, gauge, histogram) = made()
    gauge.labels("x").set(0.1)
    histogram.labels("x").observe(0.1)
    written = []

    def format(value):
        written.append(value)
        return format_value(value)

    rendering = Rendering(registry, exposition.render, format)
    first = rendering.render()
    count = len(written)
    assert rendering.render() == first
    assert len(written) == count
    gauge.labels("x").set(0.2)
    rendering.render()
    assert written[count:] == [0.2]


def test_an_error_while_reading_is_in_the_same_text():
    registry, (_, gauge, _) = made()
    gauge.labels("x").set_function(lambda: 1 / 0)
    text = Rendering(registry, exposition.render, format_value).render()
    assert b'trackside_sdk_errors_total{where="set_function"} 1\n' in text


@pytest.mark.parametrize("value", [2**53 - 1, 2**53, 2**53 + 2, 2**60])
def test_large_counts_are_written_as_the_format_does(value):
    registry, _ = made()
    counter = registry.counter("big")
    counter.inc(value)
    assert Rendering(registry, exposition.render, format_value).render() == exposition.render(registry.collect())


def test_exemplars_stand_behind_their_values():
    registry = Registry()
    counter, histogram = registry.counter("c", labels=("x",)), registry.histogram("h", buckets=(1, 2))
    rendering = Rendering(registry, exposition.render, format_value, lambda one: f" # {one.trace_id} {one.value}")
    plain = Rendering(registry, exposition.render, format_value)
    counter.labels("before").inc()
    registry.cells.trace = lambda: ("abc", "def")
    counter.labels("a").inc(3)
    histogram.observe(1.5)
    registry.cells.trace = lambda: None
    counter.labels("a").inc()
    histogram.observe(0.5)
    shown = rendering.render().decode().splitlines()
    for line in ('c_total{x="before"} 1', 'c_total{x="a"} 4 # abc 3.0', 'h_bucket{le="1.0"} 1', "h_count 2", "h_sum 2"):
        assert line in shown
    assert 'h_bucket{le="2.0"} 2 # abc 1.5' in shown
    assert b"#  abc" not in plain.render()
    assert plain.render() == exposition.render(registry.collect())


def test_a_family_that_cannot_be_read_takes_no_other_with_it(monkeypatch):
    registry, (counter, gauge, _) = made()
    counter.labels("a", "b").inc()
    gauge.labels("a").set(1)
    rendering = Rendering(registry, exposition.render, format_value)
    monkeypatch.setattr(type(gauge), "rows", lambda self: 1 / 0)

    page = rendering.render().decode()

    assert 'c_total{a="a",le="b"} 1' in page
    assert "\ng{" not in page
    assert 'trackside_sdk_errors_total{where="family"} 2' in rendering.render().decode()


def test_a_family_that_cannot_be_written_is_left_out_and_logged_once(caplog):
    registry, (counter, _, _) = made()
    counter.labels("a", "b").inc()
    for name, value in (("fine", 1.0), ("odd", "no number"), ("good", 2.0)):
        family = MetricFamily(name, MetricType.GAUGE, "", [Sample(name, Labels(), value)])
        registry.add_collector(lambda family=family: [family])
    rendering = Rendering(registry, exposition.render, format_value)
    for _ in range(3):
        page = rendering.render().decode()
    for line in ("fine 1", "good 2", 'c_total{a="a",le="b"} 1', 'trackside_sdk_errors_total{where="family"} 3'):
        assert line in page.splitlines()
    assert "odd" not in page
    assert [record.getMessage()[:15] for record in caplog.records if record.name == "trackside"] == ["odd is left out"]


class Family:
    """One that another process has: after it began anew perhaps with other buckets."""

    def __init__(self, description, rows):
        self.description = description
        self._rows = rows

    def rows(self):
        return self._rows


def test_a_family_of_the_same_name_and_another_shape_takes_the_place_of_the_last():
    registry = Registry()
    few = Description("h", MetricType.HISTOGRAM, "Few.", ("x",), "", (1.0,))
    many = Description("h", MetricType.HISTOGRAM, "Many.", ("x",), "", (1.0, 2.0, 3.0))
    other = Description("h", MetricType.GAUGE, "A gauge.", ("x",))
    rendering = Rendering(registry, exposition.render, format_value)
    shown = [(few, (1, 1, 0)), (many, (1, 1, 0, 0, 0)), (other, (7,)), (few, (2, 1, 1))]
    for description, raw in shown:
        family = Family(description, [(("a",), raw)])
        registry._measured["h"] = family
        assert rendering.render() == exposition.render(registry.collect())
        assert f"# HELP h {description.help}\n".encode() in rendering.render()
