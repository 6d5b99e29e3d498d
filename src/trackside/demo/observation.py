"""What `trackside demo --check` saw, and what of it is missing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from trackside.demo.receiver import Received
from trackside.demo.system import Expectation, System

POLL_S = 1.0


@dataclass(slots=True)
class Observation:
    """What was seen so far, polled from the server's API as any client would."""

    system: System
    scrapes: int = 0
    samples: int = 0
    series: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    """Of each expectation: what its query answered, a value for each series."""
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
        self.scrapes = int(sum(await _values(client, "sum(count_over_time(up[1h]))")))
        self.samples = int(sum(await _values(client, "sum(sum_over_time(scrape_samples_scraped[1h]))")))
        self.series = int(sum(await _values(client, 'count({__name__=~".+"})')))
        for expected in self.system.expected:
            self.values[expected.name] = await _values(client, expected.query)

    def problems(self, received: Sequence[Received]) -> list[str]:
        """One sentence for each thing that should have been seen and was not."""
        found = [self._problem(expected) for expected in self.system.expected]
        states = {state for _, _, state in self.transitions}
        found += [f"no alert became {state}" for state in ("pending", "firing", "inactive") if state not in states]
        seen = {(name.partition(" ")[0], state) for _, name, state in self.transitions}
        found += [
            f"the alert {alert.name} never became {state}"
            for alert in self.system.alerts
            for state in alert.states
            if (alert.name, state) not in seen
        ]
        statuses = [notification.status for notification in received]
        found += [f"no {status} notification arrived" for status in ("firing", "resolved") if status not in statuses]
        return [sentence for sentence in found if sentence]

    def seen(self, expected: Expectation) -> str:
        """What the query of an expectation answered: a value, or the range of several."""
        values = self.values.get(expected.name, [])
        if not values:
            return "nothing"
        shown = f"{min(values):.4g}"
        return shown if len(values) == 1 else f"{shown} to {max(values):.4g} ({len(values)} series)"

    def _problem(self, expected: Expectation) -> str:
        # A series that is NaN had nothing to divide: that is no answer, and no wrong one either.
        values = [value for value in self.values.get(expected.name, []) if not math.isnan(value)]
        if values and all(expected.low <= value <= expected.high for value in values):
            return ""
        return f"{expected.name} is {self.seen(expected)}, expected {expected.low:g} to {expected.high:g}"

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


async def _values(client: httpx.AsyncClient, query: str) -> list[float]:
    """A value for each series that `query` answers."""
    result = (await _data(client, "/api/v1/query", query=query))["result"]
    return [float(series["value"][1]) for series in result]


async def _data(client: httpx.AsyncClient, path: str, **params: str) -> Any:
    response = await client.get(path, params=params)
    response.raise_for_status()
    return response.json()["data"]
