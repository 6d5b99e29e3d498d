"""What is kept from one scrape to the next must be what prometheus_client's own writer writes, byte by byte."""

import math
import sys
import threading
import types
from contextlib import suppress

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from trackside.instruments.client_family import ClientFamily
from trackside.instruments.client_registry import collectors_of
from trackside.instruments.client_text import ClientText

FORMATS = (
    "text/plain; version=0.0.4; charset=utf-8",
    "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
)
LABELS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(['"', "\\", "\n", "%", "%s", "%(0)s", "é", "", "{}", " # ", "\0", "\x000\0"]),
)
NUMBERS = st.one_of(
    st.floats(min_value=0, allow_nan=False),
    st.integers(min_value=0, max_value=2**60),
    st.sampled_from([0, 1, 0.1, 999_999.0, 1e6, 1e16, 2**53 + 1, 5e-324, 1e-7, 0.1 + 0.2]),
)
GAUGES = st.one_of(NUMBERS, st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, -1, -1e9]))
ANY = st.one_of(st.tuples(LABELS, LABELS), st.sampled_from([("a", "b"), ("a", "c"), ("%", "\n")]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["inc", "observe", "summary", "traced", "plain"]), ANY, NUMBERS),
        st.tuples(st.just("set"), ANY, GAUGES),
        st.tuples(
            st.sampled_from(["remove", "clear", "scrape", "reset", "created", "state", "info", "function"]),
            ANY,
            st.just(0),
        ),
    ),
    max_size=25,
)
HELP = "Help with \\, a 100 % and\nlines."


class Theirs:
    def __init__(self):
        self.registry = CollectorRegistry()
        made = {"registry": self.registry}
        self.hits = prometheus_client.Counter("hits", HELP, ["path", "b"], **made)
        self.level = prometheus_client.Gauge("level", "", ["z", "a"], **made)
        self.plain = prometheus_client.Counter("plain_total", HELP, namespace="ns", subsystem="sub", **made)
        self.wait = prometheus_client.Histogram(
            "wait", HELP, ["zz", "a"], unit="seconds", buckets=(0.1, 1, 1e7), **made
        )
        self.below = prometheus_client.Histogram("below", HELP, buckets=(-1, 0, 1), **made)
        self.size = prometheus_client.Summary("size", HELP, ["a", "zz"], **made)
        self.mode = prometheus_client.Enum("mode", HELP, ["a", "b"], states=["on", "off"], **made)
        self.build = prometheus_client.Info("build", HELP, ["a", "b"], **made)
        try:
            self.odd = prometheus_client.Gauge("odd.name", HELP, ["b.c%", "a"], **made)
        except ValueError:  # versions that have no such names
            self.odd = prometheus_client.Gauge("odd", HELP, ["b", "a"], **made)
        self.called = prometheus_client.Gauge("called", HELP, ["a", "b"], **made)
        self.registry.register(Custom())

    def do(self, step, labels, number):
        getattr(self, f"_{step}", lambda *_: None)(labels, number)

    def _inc(self, labels, number):
        self.hits.labels(*labels).inc(number)

    def _traced(self, labels, number):
        self.hits.labels(*labels).inc(number, {"trace_id": 'a"b'})
        self.wait.labels(*labels).observe(number, {"trace_id": "%s", "span_id": "\\"})

    def _plain(self, labels, number):
        self.plain.inc(number)
        self.below.observe(number - 0.5)

    def _set(self, labels, number):
        self.level.labels(*labels).set(number)
        self.odd.labels(*labels).set(number)

    def _observe(self, labels, number):
        self.wait.labels(*labels).observe(number)

    def _summary(self, labels, number):
        self.size.labels(*labels).observe(number)

    def _remove(self, labels, number):
        for one in (self.hits, self.level, self.wait):
            with suppress(KeyError):  # of older versions
                one.remove(*labels)

    def _clear(self, labels, number):
        self.size.clear()
        self.hits.clear()

    def _reset(self, labels, number):
        child = self.hits.labels(*labels)
        getattr(child, "reset", child.inc)()

    def _state(self, labels, number):
        self.mode.labels(*labels).state("off")

    def _info(self, labels, number):
        self.build.labels(*labels).info({"version": labels[0]})

    def _function(self, labels, number):
        self.called.labels(*labels).set_function(lambda: 7)
        self.called.labels("other", "").set(1)


class Custom:
    def describe(self):
        return ()

    def collect(self):
        yield GaugeMetricFamily("custom", HELP, value=3)


def expected(registry, content_type):
    return choose_encoder(content_type)[0](registry).removesuffix(b"# EOF\n")


def everything(name):
    return True


def made(content_type=FORMATS[0]):
    errors = []
    return ClientText(content_type, errors.append), errors


@pytest.fixture(autouse=True)
def _created():
    before = metrics._use_created
    yield
    metrics._use_created = before


@pytest.mark.parametrize("content_type", FORMATS)
@settings(max_examples=100, deadline=None)
@given(steps=STEPS, created=st.booleans())
def test_the_text_is_theirs_whatever_happened_between_two_scrapes(content_type, steps, created):
    metrics._use_created = created
    theirs = Theirs()
    text, errors = made(content_type)

    def compare():
        assert text.render(collectors_of(theirs.registry), everything)[0] == expected(theirs.registry, content_type)

    for step, labels, number in [*steps, *steps[:3]]:
        if step == "created":
            metrics._use_created = not metrics._use_created
        theirs.do(step, labels, number)
        if step == "scrape":
            compare()
    compare()
    compare()
    assert errors == []


def filled(registry):
    hits = prometheus_client.Counter("hits", "", ["path"], registry=registry)
    hits.labels("/").inc()
    wait = prometheus_client.Histogram("wait", "", ["path"], registry=registry, buckets=(1,))
    wait.labels("/").observe(2)
    return hits, wait


def changed_class(hits, monkeypatch):
    original = metrics.Counter._child_samples
    monkeypatch.setattr(metrics.Counter, "_child_samples", lambda self: [*original(self), *original(self)])


def changed_collect(hits, monkeypatch):
    monkeypatch.setattr(metrics.Counter, "collect", lambda self: [GaugeMetricFamily("else", "", value=5)])


def changed_object(hits, monkeypatch):
    hits.collect = lambda: [GaugeMetricFamily("else", "", value=5)]


def changed_child(hits, monkeypatch):
    child = hits.labels("/")
    child._child_samples = types.MethodType(metrics.Counter._child_samples, hits.labels("other"))


def without_cell(hits, monkeypatch):
    class Renamed:
        get = get_exemplar = staticmethod(lambda: None)

    cell = Renamed()
    cell.get = lambda: 4.0
    hits.labels("/")._value = cell


def without_children(hits, monkeypatch):
    kept = hits._metrics
    del hits._metrics
    hits._multi_samples = lambda: [s for child in kept.values() for s in child._child_samples()]


def other_numbers(hits, monkeypatch):
    cell = type(hits.labels("/")._value)
    monkeypatch.setattr(cell, "get", lambda self: self._value * 2)


@pytest.mark.parametrize(
    "spoil",
    [changed_class, changed_collect, changed_object, changed_child, without_cell, without_children, other_numbers],
)
@pytest.mark.parametrize("known", [True, False], ids=["after a scrape", "before the first"])
def test_what_is_not_as_expected_is_collected(spoil, known, monkeypatch):
    registry = CollectorRegistry()
    hits, _ = filled(registry)
    text, errors = made()
    if known:
        text.render(collectors_of(registry), everything)
    spoil(hits, monkeypatch)
    for _ in range(2):
        hits.labels("later").inc() if spoil is not without_children else None
        assert text.render(collectors_of(registry), everything)[0] == expected(registry, FORMATS[0])
    assert errors == []


@pytest.mark.parametrize("created", [True, False], ids=["with times of creation", "without"])
@pytest.mark.parametrize("content_type", FORMATS)
def test_ordinary_objects_are_not_collected(content_type, created):
    metrics._use_created = created
    theirs = Theirs()
    text, _ = made(content_type)
    for step in ("inc", "traced", "plain", "set", "observe", "summary"):
        theirs.do(step, ("x", "%"), 2)
    want = expected(theirs.registry, content_type)
    assert text.render(collectors_of(theirs.registry), everything)[0] == want
    kept = {family._collector for family in text._families.values()}
    assert {theirs.hits, theirs.level, theirs.plain, theirs.wait, theirs.below, theirs.size, theirs.odd} <= kept


def test_a_subclass_is_collected():
    class Twice(prometheus_client.Counter):
        def _child_samples(self):
            return [sample._replace(value=sample.value * 2) for sample in super()._child_samples()]

    registry = CollectorRegistry()
    Twice("hits", "", registry=registry).inc(2)
    text, _ = made()
    assert b"hits_total 4.0\n" in text.render(collectors_of(registry), everything)[0]


def test_the_package_may_be_another_one_than_is_known(monkeypatch):
    registry = CollectorRegistry()
    filled(registry)
    monkeypatch.setattr(prometheus_client.utils, "floatToGoString", lambda value: "1")
    text, errors = made()
    assert text.render(collectors_of(registry), everything)[0] == expected(registry, FORMATS[0])
    assert errors == []


def test_one_that_raises_does_not_hide_the_others():
    class Broken:
        def describe(self):
            return ()

        def collect(self):
            yield GaugeMetricFamily("first", "", value=1)
            raise RuntimeError

    registry = CollectorRegistry()
    registry.register(Broken())
    filled(registry)
    prometheus_client.Gauge("bad", "", registry=registry).set_function(lambda: 1 / 0)
    registry.register(Custom())
    text, errors = made()
    body, names = text.render(collectors_of(registry), everything)
    assert names == {"hits_total", "wait", "custom"}
    assert errors == ["collector", "collector"]
    assert b'hits_total{path="/"} 1.0\n' in body
    assert b"custom 3.0\n" in body


def test_a_label_that_cannot_be_encoded_does_not_hide_the_others():
    registry = CollectorRegistry()
    hits, _ = filled(registry)
    hits.labels("\udc00").inc()
    text, _ = made()
    body, _ = text.render(collectors_of(registry), everything)
    assert b"wait_count" in body
    assert b'hits_total{path="/"} 1.0\n' in body


def test_only_what_is_wanted():
    registry = CollectorRegistry()
    filled(registry)
    registry.register(Custom())
    text, _ = made()
    for wanted in ({"hits_total"}, {"custom", "wait"}, set(), {"hits"}):
        _, names = text.render(collectors_of(registry), wanted.__contains__)
        assert names == wanted - {"hits"}


def test_what_is_registered_no_more_is_shown_no_more():
    registry = CollectorRegistry(target_info={"version": "1"})
    hits, _ = filled(registry)
    text, _ = made()
    assert text.render(collectors_of(registry), everything)[0] == expected(registry, FORMATS[0])
    registry.unregister(hits)
    registry.set_target_info(None)
    again = prometheus_client.Gauge("hits", "Another.", registry=registry)
    again.set(3)
    assert text.render(collectors_of(registry), everything)[0] == expected(registry, FORMATS[0])


def test_a_registry_of_another_kind_is_asked_as_a_whole():
    class Other:
        def collect(self):
            return [GaugeMetricFamily("other", "", value=1)]

    text, _ = made()
    assert b"\nother 1.0\n" in text.render(collectors_of(Other()), everything)[0]


def test_unchanged_numbers_are_not_written_again(monkeypatch):
    registry = CollectorRegistry()
    hits, _ = filled(registry)
    text, _ = made()
    text.render(collectors_of(registry), everything)
    written = []
    original = ClientFamily._write

    def write(self, changed, lines):
        written.append(changed)
        original(self, changed, lines)

    monkeypatch.setattr(ClientFamily, "_write", write)
    text.render(collectors_of(registry), everything)
    assert written == []
    hits.labels("other")
    hits.labels("/").inc()
    text.render(collectors_of(registry), everything)
    assert written == [{0, 1}]


def test_scrapes_at_once_and_changes_meanwhile():
    registry = CollectorRegistry()
    hits, wait = filled(registry)
    text, errors = made()
    stop = threading.Event()

    def count():
        number = 0
        while not stop.is_set():
            number += 1
            hits.labels(str(number % 50)).inc()
            wait.labels(str(number % 50)).observe(1)
            if not number % 7:
                hits.remove(str(number % 50))

    def scrape():
        for _ in range(30):
            body, _ = text.render(collectors_of(registry), everything)
            lines = body.decode().splitlines()
            assert len(lines) == len(set(lines))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    counting = threading.Thread(target=count)
    scraping = [threading.Thread(target=scrape) for _ in range(3)]
    try:
        for thread in (counting, *scraping):
            thread.start()
        for thread in scraping:
            thread.join()
    finally:
        stop.set()
        counting.join()
        sys.setswitchinterval(interval)
    assert errors == []
    assert text.render(collectors_of(registry), everything)[0] == expected(registry, FORMATS[0])
