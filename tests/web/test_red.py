"""The queries behind rate, errors and duration."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import promql_parser
import pytest

from trackside.exceptions import QueryError
from trackside.server.web.period import period_of
from trackside.server.web.red import Names, Red, find_names

FULL = Names(
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "http_requests_in_progress",
    ("status",),
    "path",
    "method",
    ("path",),
)


class Catalogue:
    """Label names by metric, and nothing else of a backend."""

    def __init__(self, names: dict[str, list[str]] | None) -> None:
        self.names = names

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        if self.names is None:
            raise QueryError("the store is closed")
        return self.names.get(match[0].split("{")[0], [])


@pytest.mark.parametrize(
    ("catalogue", "expected"),
    [
        pytest.param(
            {
                "http_requests_total": ["job", "method", "path", "status"],
                "http_request_duration_seconds_bucket": ["job", "le", "path"],
                "http_requests_in_progress": ["job", "path"],
            },
            FULL,
            id="our own",
        ),
        pytest.param(
            {"http_requests_total": ["handler", "job", "method", "status"]},
            Names("http_requests_total", "", "", ("status",), "handler", "method"),
            id="handler",
        ),
        pytest.param(
            {"http_request_duration_seconds_count": ["code", "endpoint", "job"]},
            Names("http_request_duration_seconds_count", "", "", ("code",), "endpoint", ""),
            id="only a histogram",
        ),
        pytest.param(
            {"http_requests_total": ["code", "job", "route", "status_code"]},
            Names("http_requests_total", "", "", ("status_code", "code"), "route", ""),
            id="two exporters",
        ),
        pytest.param({}, Names(), id="nothing"),
        pytest.param(None, Names(), id="a store that fails"),
    ],
)
def test_find_names(catalogue: dict[str, list[str]] | None, expected: Names) -> None:
    period = period_of({}, 1_000_000_000, 0)

    assert asyncio.run(find_names(Catalogue(catalogue), period, "shop")) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            Red(FULL, "1m", "shop").rate("path"),
            'sum by (path) (rate(http_requests_total{job="shop"}[1m]))',
            id="rate",
        ),
        pytest.param(
            Red(FULL, "1m").errors("job"),
            'sum by (job) (rate(http_requests_total{status=~"5.."}[1m])) / '
            "sum by (job) (rate(http_requests_total[1m]))",
            id="errors of all services",
        ),
        pytest.param(
            Red(Names("http_requests_total", statuses=("status", "code")), "1m").errors(),
            '(sum(rate(http_requests_total{status=~"5.."}[1m])) or sum(rate(http_requests_total{code=~"5.."}[1m])))'
            " / sum(rate(http_requests_total[1m]))",
            id="errors under two names",
        ),
        pytest.param(
            Red(FULL, "5m", "shop").quantile(0.95, "path"),
            'histogram_quantile(0.95, sum by (path, le) (rate(http_request_duration_seconds_bucket{job="shop"}[5m])))',
            id="quantile",
        ),
        pytest.param(
            Red(FULL, "1m", "shop").mean_in_flight("path"),
            'sum by (path) (avg_over_time(http_requests_in_progress{job="shop"}[1m]))',
            id="load as a curve",
        ),
        pytest.param(
            Red(FULL, "1m", "shop", (("method", "GET"), ("path", '/"x"'))).in_flight(),
            'sum(http_requests_in_progress{job="shop", path="/\\"x\\""})',
            id="a gauge without the method, and a route with quotes",
        ),
    ],
)
def test_red(query: str, expected: str) -> None:
    assert query == expected
    promql_parser.parse(query)
