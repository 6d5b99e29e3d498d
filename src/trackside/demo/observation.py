"""What `trackside demo --check` looks at, and what it expects to have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from trackside.demo.receiver import Received

POLL_S = 1.0
_LATENCY = 'histogram_quantile({}, sum by (le) (rate(http_request_duration_seconds_bucket{{job="shop"}}[1m])))'


@dataclass(frozen=True, slots=True)
class Expectation:
    """A query, and between which values its answer makes sense."""

    name: str
    query: str
    low: float
    high: float


EXPECTED = (
    Expectation("requests per second", 'sum(rate(http_requests_total{job="shop"}[1m]))', 1, 100),
    Expectation(
        "error ratio since the start",
        'sum(increase(http_requests_total{job="shop",status=~"5.."}[5m]))'
        ' / sum(increase(http_requests_total{job="shop"}[5m]))',
        0.001,
        0.5,
    ),
    Expectation("p50 latency, s", _LATENCY.format(0.5), 0.001, 1),
    Expectation("p95 latency, s", _LATENCY.format(0.95), 0.01, 3),
    Expectation("p99 latency, s", _LATENCY.format(0.99), 0.05, 6),
    Expectation("requests in flight", 'sum(http_requests_in_progress{job="shop"})', 0, 100),
    Expectation("routes seen", 'count(count by (path) (http_requests_total{job="shop"}))', 6, 12),
    Expectation("orders packed per second", "sum(rate(worker_orders_packed_total[1m]))", 0.1, 50),
    Expectation("targets up", "sum(up)", 3, 3),
)


@dataclass(slots=True)
class Observation:
    """What was seen so far, polled from the server's API as any client would."""

    scrapes: int = 0
    samples: int = 0
    series: int = 0
    values: dict[str, float] = field(default_factory=dict)
    transitions: list[tuple[float, str, str]] = field(default_factory=list)
    """Seconds since the start, alert, new state ("pending", "firing", "inactive")."""
    _states: dict[str, str] = field(default_factory=dict)

    async def watch(self, client: httpx.AsyncClient) -> None:
        """Follow the alerts until cancelled. A server that is away for a moment is asked again."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        while True:
            with suppress(httpx.HTTPError):
                self._see_alerts(await _data(client, "/api/v1/alerts"), loop.time() - started_s)
            await asyncio.sleep(POLL_S)

    async def finish(self, client: httpx.AsyncClient) -> None:
        """Ask once for everything that is a number."""
        self.scrapes = int(await _value(client, "sum(count_over_time(up[1h]))"))
        self.samples = int(await _value(client, "sum(sum_over_time(scrape_samples_scraped[1h]))"))
        self.series = int(await _value(client, 'count({__name__=~".+"})'))
        for expected in EXPECTED:
            self.values[expected.name] = await _value(client, expected.query)

    def problems(self, received: Sequence[Received]) -> list[str]:
        """One sentence for each thing that should have been seen and was not."""
        found = [
            f"{expected.name} is {self.values.get(expected.name)}, expected {expected.low} to {expected.high}"
            for expected in EXPECTED
            if not expected.low <= self.values.get(expected.name, float("nan")) <= expected.high
        ]
        states = {state for _, _, state in self.transitions}
        found += [f"no alert became {state}" for state in ("pending", "firing", "inactive") if state not in states]
        statuses = [notification.status for notification in received]
        found += [f"no {status} notification arrived" for status in ("firing", "resolved") if status not in statuses]
        return found

    def _see_alerts(self, data: dict[str, Any], at_s: float) -> None:
        now = {_name(alert["labels"]): str(alert["state"]) for alert in data["alerts"]}
        for name in self._states.keys() - now.keys():
            self.transitions.append((at_s, name, "inactive"))
        for name, state in now.items():
            if self._states.get(name) != state:
                self.transitions.append((at_s, name, state))
        self._states = now


def _name(labels: dict[str, str]) -> str:
    rest = " ".join(value for key, value in sorted(labels.items()) if key not in ("alertname", "severity"))
    return f"{labels.get('alertname', 'alert')} {rest}".strip()


async def _value(client: httpx.AsyncClient, query: str) -> float:
    """The single value of `query`; NaN when there is none."""
    result = (await _data(client, "/api/v1/query", query=query))["result"]
    return float(result[0]["value"][1]) if len(result) == 1 else float("nan")


async def _data(client: httpx.AsyncClient, path: str, **params: str) -> Any:
    response = await client.get(path, params=params)
    response.raise_for_status()
    return response.json()["data"]
