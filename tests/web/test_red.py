"""The queries behind rate, errors and duration."""

from __future__ import annotations

import asyncio
import re
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
    """Label names by metric, and the jobs that have it, and nothing else of a backend."""

    def __init__(self, names: dict[str, list[str]] | None, jobs: dict[str, list[str]] | None = None) -> None:
        self.names, self.jobs = names, jobs or {}

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        return sorted({label for metric, names in self._known().items() if holds(match[0], metric) for label in names})

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        found = [metric for metric in self._known() if holds(match[0], metric)]
        return (
            sorted(found)
            if name == "__name__"
            else [job for metric in found for job in self.jobs.get(metric, ["shop"])]
        )

    def _known(self) -> dict[str, list[str]]:
        if self.names is None:
            raise QueryError("the store is closed")
        return self.names


def holds(selector: str, metric: str) -> bool:
    """Whether it takes this metric, whatever else it asks."""
    expression = re.search('__name__=~"([^"]+)"', selector)
    return re.fullmatch(expression[1] if expression else selector.partition("{")[0], metric) is not None


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
        pytest.param(
            {
                "railgun_http_requests_total": ["job", "method", "path", "status"],
                "railgun_http_request_duration_seconds_bucket": ["job", "le", "path"],
                "railgun_http_requests_in_progress": ["job", "path"],
            },
            Names(
                "railgun_http_requests_total",
                "railgun_http_request_duration_seconds_bucket",
                "railgun_http_requests_in_progress",
                ("status",),
                "path",
                "method",
                ("path",),
            ),
            id="behind a prefix",
        ),
        pytest.param(
            {"http_requests_total": ["code", "path"], "its_client_http_requests_total": ["status"]},
            Names("http_requests_total", "", "", ("code",), "path", ""),
            id="its client beside it",
        ),
        pytest.param(
            {"nohttp_requests_total": ["code"], "http_requests_total_": ["code"]}, Names(), id="others' words"
        ),
        pytest.param({}, Names(), id="nothing"),
        pytest.param(None, Names(), id="a store that fails"),
    ],
)
def test_find_names(catalogue: dict[str, list[str]] | None, expected: Names) -> None:
    period = period_of({}, 1_000_000_000, 0)

    assert asyncio.run(find_names(Catalogue(catalogue), period, "shop")) == expected  # type: ignore[arg-type]


def test_of_all_services_each_is_found_under_its_own_name() -> None:
    names = {
        name: ["path", "status"] for name in ("http_requests_total", "a_http_requests_total", "b_http_requests_total")
    }
    jobs = {"http_requests_total": ["shop"], "a_http_requests_total": ["a"], "b_http_requests_total": ["shop"]}

    found = asyncio.run(find_names(Catalogue(names, jobs), period_of({}, 1_000_000_000, 0)))  # type: ignore[arg-type]

    assert found.requests == "a_http_requests_total|http_requests_total"
    assert found.route == "path"


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
            Red(Names("a_http_requests_total|http_requests_total"), "1m").rate("job"),
            'sum by (job) (rate({__name__=~"a_http_requests_total|http_requests_total"}[1m]))',
            id="services with prefixes",
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
