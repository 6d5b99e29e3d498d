"""Which format a scraper gets."""

import pytest

from trackside.wire.negotiation import OPENMETRICS, OPENMETRICS_UTF8, TEXT, TEXT_UTF8, negotiate, prefers_protobuf

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("", TEXT, id="nothing asked"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param(BROWSER, TEXT, id="a browser"),
        pytest.param(PROMETHEUS_3, OPENMETRICS_UTF8, id="Prometheus 3"),
        pytest.param(PROMETHEUS_2, OPENMETRICS, id="Prometheus 2"),
        pytest.param("application/openmetrics-text", OPENMETRICS, id="no version"),
        pytest.param("application/openmetrics-text; version=2.0.0", TEXT, id="a version we do not have"),
        pytest.param("application/openmetrics-text;q=0,text/plain", TEXT, id="refused"),
        pytest.param("application/openmetrics-text;q=0.2,text/plain;q=0.8", TEXT, id="weights"),
        pytest.param("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT_UTF8, id="text with quoted names"),
        pytest.param("text/plain;version=1.0.0", TEXT, id="names are quoted only for who says so"),
        pytest.param('APPLICATION/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS, id="capitals and quotes"),
        pytest.param("application/openmetrics-text;q=nan,*/*", TEXT, id="a weight that is none"),
        pytest.param(";;;,,,q=1;=", TEXT, id="nonsense"),
        pytest.param("application/json", TEXT, id="what we do not have"),
    ],
)
def test_negotiation(accept, expected):
    assert negotiate(accept) is expected


DELIMITED = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(
            f"{DELIMITED},application/openmetrics-text;q=0.8,*/*;q=0.1", True, id="Prometheus with the feature"
        ),
        pytest.param(f"{DELIMITED};q=0.6,text/plain;q=0.2", True, id="weights"),
        pytest.param(f"{DELIMITED};q=0.2,text/plain;q=0.6", False, id="text is liked better"),
        pytest.param(f"{DELIMITED};q=0", False, id="refused"),
        pytest.param(DELIMITED.replace("delimited", "text"), False, id="another encoding"),
        pytest.param(DELIMITED.replace("MetricFamily", "Other"), False, id="another message"),
        pytest.param("application/vnd.google.protobuf", False, id="any message"),
        pytest.param(PROMETHEUS_3, False, id="Prometheus 3 without native histograms"),
        pytest.param("*/*", False, id="whatever there is"),
        pytest.param("", False, id="nothing asked"),
    ],
)
def test_protobuf_is_for_who_likes_it_best(accept, expected):
    assert prefers_protobuf(accept) is expected


def test_content_types():
    assert TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert OPENMETRICS.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert OPENMETRICS_UTF8.content_type.endswith("; escaping=allow-utf-8")


def test_each_format_renders():
    assert (TEXT.render([]), OPENMETRICS.render([])) == (b"", b"# EOF\n")
