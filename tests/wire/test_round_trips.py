"""What is written reads back as it was, in both formats."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as their_openmetrics
from prometheus_client.parser import text_string_to_metric_families as their_text

from trackside.exceptions import ParseError
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, Sample
from trackside.wire import exposition, openmetrics

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SHOP = (
    MetricFamily(
        "http_requests_total",
        MetricType.COUNTER,
        'Requests, "all" of them\nsince \\ the start',
        (
            Sample(
                "http_requests_total",
                Labels.of(path='a"b\\c\nd'),
                12.0,
                1_500,
                Exemplar(Labels.of(trace_id="abc"), 0.5, 1.25),
            ),
        ),
    ),
    MetricFamily(
        "latency_seconds",
        MetricType.HISTOGRAM,
        "Latency",
        (
            Sample("latency_seconds_bucket", Labels.of(le="0.5"), 3.0),
            Sample("latency_seconds_bucket", Labels.of(le="+Inf"), 4.0),
            Sample("latency_seconds_sum", Labels.of(), 1.5),
            Sample("latency_seconds_count", Labels.of(), 4.0),
        ),
        "seconds",
    ),
    MetricFamily("build_info", MetricType.INFO, "Build", (Sample("build_info", Labels.of(version="1"), 1.0),)),
    MetricFamily("temperature", MetricType.GAUGE, "", (Sample("temperature", Labels.of(), -0.5),)),
)


@pytest.mark.parametrize("names", ["legacy", "utf8"])
@pytest.mark.parametrize("format_", [exposition, openmetrics], ids=["text", "openmetrics"])
def test_families_read_back(families, names, format_):
    @QUICK
    @given(families[names])
    def check(given_families):
        read = format_.parse(format_.render(given_families)).families
        assert [(f.name, f.type, f.help, f.samples) for f in read] == [
            (f.name, f.type, f.help, f.samples) for f in given_families
        ]

    check()


def test_openmetrics_keeps_everything():
    assert openmetrics.parse(openmetrics.render(SHOP)).families == SHOP


def test_the_text_format_loses_exemplars_units_and_the_type_info():
    requests, latency, build, temperature = exposition.parse(exposition.render(SHOP)).families
    assert requests.samples[0].exemplar is None
    assert (latency.unit, latency.samples) == ("", SHOP[1].samples)
    assert build.type is MetricType.GAUGE
    assert temperature == SHOP[3]


def test_prometheus_own_reader_understands_the_text():
    families = list(their_text(exposition.render(SHOP).decode()))
    assert [(f.name, f.type) for f in families] == [
        ("http_requests", "counter"),
        ("latency_seconds", "histogram"),
        ("build_info", "gauge"),
        ("temperature", "gauge"),
    ]
    assert families[0].samples[0].labels == {"path": 'a"b\\c\nd'}


def test_their_strict_reader_understands_the_openmetrics():
    families = list(their_openmetrics(openmetrics.render(SHOP).decode()))
    assert [(f.name, f.type, f.unit) for f in families] == [
        ("http_requests", "counter", ""),
        ("latency_seconds", "histogram", "seconds"),
        ("build", "info", ""),
        ("temperature", "gauge", ""),
    ]
    assert families[0].samples[0].exemplar.labels == {"trace_id": "abc"}


@QUICK
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(body):
    for format_ in (exposition, openmetrics):
        with suppress(ParseError):
            format_.parse(body)
