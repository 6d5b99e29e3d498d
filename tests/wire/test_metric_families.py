"""The protobuf exposition, read field by field."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, NativeBuckets, Sample
from trackside.wire.metric_families import render
from trackside.wire.protobuf import fields


def read(body):
    """Each family as a dict from field numbers to lists."""
    view, found = memoryview(body), []
    while view:
        size, at = 0, 0
        while True:
            size |= (view[at] & 0x7F) << 7 * at
            at += 1
            if view[at - 1] < 0x80:
                break
        found.append(message(view[at : at + size]))
        view = view[at + size :]
    return found


def message(raw):
    found = {}
    for field in fields(raw):
        found.setdefault(field.number, []).append(field)
    return found


def only(found, number):
    [field] = found[number]
    return field


def metrics(family):
    return [message(field.bytes()) for field in family.get(4, ())]


def pairs(metric):
    return {only(message(f.bytes()), 1).text(): only(message(f.bytes()), 2).text() for f in metric.get(1, ())}


def one(family, natives=None):
    [found] = read(render([family], natives or {}))
    return found


@pytest.mark.parametrize(
    ("kind", "number", "place"),
    [
        (MetricType.COUNTER, 0, 3),
        (MetricType.GAUGE, 1, 2),
        (MetricType.INFO, 1, 2),
        (MetricType.STATESET, 1, 2),
        (MetricType.UNKNOWN, 3, 5),
    ],
)
def test_one_number(kind, number, place):
    family = one(MetricFamily("c_total", kind, "Help.", [Sample("c_total", Labels.of(b="2", a='"\n'), 1.5, 7)], "s"))
    assert only(family, 1).text() == "c_total"
    assert only(family, 2).text() == "Help."
    assert only(family, 3).integer() == number
    assert only(family, 5).text() == "s"
    [metric] = metrics(family)
    assert pairs(metric) == {"a": '"\n', "b": "2"}
    assert only(message(only(metric, place).bytes()), 1).double() == 1.5
    assert only(metric, 6).integer() == 7


def test_times_of_creation_are_left_out_and_exemplars_are_not():
    exemplar = Exemplar(Labels.of(trace_id="abc"), 2.0, 12.5)
    samples = [Sample("c_total", Labels(), 3.0, None, exemplar), Sample("c_created", Labels(), 1e9)]
    [metric] = metrics(one(MetricFamily("c_total", MetricType.COUNTER, "", samples)))
    shown = message(only(message(only(metric, 3).bytes()), 2).bytes())
    assert pairs(shown) == {"trace_id": "abc"}
    assert only(shown, 2).double() == 2.0
    at = message(only(shown, 3).bytes())
    assert (only(at, 1).integer(), only(at, 2).integer()) == (12, 500_000_000)


def test_an_info_is_called_as_its_sample_is():
    family = one(MetricFamily("build", MetricType.INFO, "", [Sample("build_info", Labels.of(v="1"), 1.0)]))
    assert only(family, 1).text() == "build_info"


def histogram(name="h", **labels):
    return [
        Sample(f"{name}_bucket", Labels.of(labels, le="1.0"), 2.0),
        Sample(f"{name}_bucket", Labels.of(labels, le="+Inf"), 3.0),
        Sample(f"{name}_count", Labels.of(labels), 3.0),
        Sample(f"{name}_sum", Labels.of(labels), 4.5),
    ]


def test_histograms_are_put_together():
    samples = [*histogram(path="/a"), *histogram(path="/b"), Sample("h_created", Labels.of(path="/a"), 5.0)]
    family = one(MetricFamily("h", MetricType.HISTOGRAM, "", samples))
    assert only(family, 3).integer() == 4
    assert [pairs(metric) for metric in metrics(family)] == [{"path": "/a"}, {"path": "/b"}]
    for metric in metrics(family):
        found = message(only(metric, 7).bytes())
        assert only(found, 1).integer() == 3
        assert only(found, 2).double() == 4.5
        buckets = [message(field.bytes()) for field in found[3]]
        assert [(only(b, 1).integer(), only(b, 2).double()) for b in buckets] == [(2, 1.0), (3, math.inf)]


def test_summaries_are_put_together():
    samples = [
        Sample("s", Labels.of(quantile="0.5"), 7.0),
        Sample("s_count", Labels(), 2.0),
        Sample("s_sum", Labels(), 9.0),
    ]
    [metric] = metrics(one(MetricFamily("s", MetricType.SUMMARY, "", samples)))
    found = message(only(metric, 4).bytes())
    assert (only(found, 1).integer(), only(found, 2).double()) == (2, 9.0)
    quantile = message(only(found, 3).bytes())
    assert (only(quantile, 1).double(), only(quantile, 2).double()) == (0.5, 7.0)


@pytest.mark.parametrize("classic", [True, False], ids=["given buckets too", "alone"])
def test_native_histograms_have_both_kinds_of_buckets(classic):
    samples = histogram() if classic else histogram()[1:]
    natives = {"h": {Labels(): (4.5, NativeBuckets(3, 2.0**-128, 1.0, ((0, 2.0),), ()))}}
    [metric] = metrics(one(MetricFamily("h", MetricType.HISTOGRAM, "", samples), natives))
    found = message(only(metric, 7).bytes())
    assert only(found, 1).integer() == 3
    assert only(found, 5).integer() == 6
    assert len(found[12]) == 1
    assert len(found.get(3, ())) == (2 if classic else 0)


def test_names_outside_the_old_character_set_are_written_with_underscores():
    family = one(MetricFamily("http.time", MetricType.GAUGE, "", [Sample("http.time", Labels.of({"a.b": "é"}), 1.0)]))
    assert only(family, 1).text() == "http_time"
    assert pairs(metrics(family)[0]) == {"a_b": "é"}


def test_a_family_without_samples_is_left_out():
    assert render([MetricFamily("g", MetricType.GAUGE, "", [])], {}) == b""


@given(
    st.lists(
        st.builds(
            Sample,
            st.sampled_from(["h", "h_bucket", "h_count", "h_sum", "h_created", "other"]),
            st.builds(lambda le, a: Labels.of(le=le, a=a, quantile=le), st.text(max_size=4), st.text(max_size=3)),
            st.floats(),
        ),
        max_size=8,
    ),
    st.sampled_from(list(MetricType)),
)
def test_whatever_a_family_holds_its_message_can_be_read(samples, kind):
    read(render([MetricFamily("h", kind, "", samples)], {}))
