"""Which formats are asked for, and what an answer is taken for."""

import pytest

from trackside.server.scrape.config import DEFAULT_PROTOCOLS
from trackside.server.scrape.protocols import ScrapeError, accept_header, dialect_of
from trackside.wire.lines import Dialect
from trackside.wire.negotiation import OPENMETRICS_UTF8, TEXT, negotiate


def test_openmetrics_is_preferred_and_our_own_server_understands_it():
    header = accept_header(DEFAULT_PROTOCOLS, "")
    assert header.startswith("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,")
    assert negotiate(header) is OPENMETRICS_UTF8


def test_the_order_of_the_job_holds():
    assert negotiate(accept_header(("PrometheusText0.0.4", "OpenMetricsText1.0.0"), "")) is TEXT
    assert accept_header(("PrometheusProto", "OpenMetricsText1.0.0"), "underscores") == (
        "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.2,*/*;q=0.1"
    )


@pytest.mark.parametrize(
    ("content_type", "fallback", "expected"),
    [
        pytest.param("text/plain; version=0.0.4; charset=utf-8", None, Dialect.TEXT, id="text"),
        pytest.param("Text/Plain", None, Dialect.TEXT, id="bare"),
        pytest.param("application/openmetrics-text; version=1.0.0", None, Dialect.OPENMETRICS, id="openmetrics"),
        pytest.param("", None, Dialect.TEXT, id="nothing"),
        pytest.param(" ; charset=utf-8", None, Dialect.TEXT, id="no type but parameters"),
        pytest.param("", "OpenMetricsText1.0.0", Dialect.OPENMETRICS, id="nothing, with a fallback"),
        pytest.param("text/html", "OpenMetricsText1.0.0", Dialect.OPENMETRICS, id="something else, with a fallback"),
    ],
)
def test_the_answer_is_read_by_its_content_type(content_type, fallback, expected):
    assert dialect_of(content_type, fallback) is expected


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        pytest.param("text/html; charset=utf-8", "web page", id="a web page"),
        pytest.param("application/json", "'application/json'", id="JSON"),
        pytest.param("application/octet-stream", "set fallback_scrape_protocol: PrometheusText0.0.4", id="a download"),
    ],
)
def test_what_is_no_text_of_metrics_is_refused_with_advice(content_type, reason):
    with pytest.raises(ScrapeError, match=reason):
        dialect_of(content_type, None)
