"""The queries behind rate, errors, duration and load of HTTP services, whatever their exporter calls its labels."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, replace

from trackside.exceptions import QueryError
from trackside.model.labels import quoted
from trackside.server.backend import MetricsBackend
from trackside.server.web.period import Period

_REQUESTS = ("http_requests_total", "http_request_duration_seconds_count")
_DURATIONS = "http_request_duration_seconds_bucket"
_IN_FLIGHT = ("http_requests_in_progress", "http_requests_inprogress")
_ROUTES = ("path", "route", "handler", "endpoint", "url_rule")
_STATUSES = ("status", "status_code", "code")
_METHODS = ("method", "http_method")

SERVER_ERROR = "5.."


@dataclass(frozen=True, slots=True)
class Names:
    """What the HTTP series of a service, or of all of them, are called; "" for what is not there."""

    requests: str = ""
    durations: str = ""
    in_flight: str = ""
    statuses: tuple[str, ...] = ()
    """More than one only where services differ."""
    route: str = ""
    method: str = ""
    in_flight_by: tuple[str, ...] = ()
    """Which of method and route the gauge has."""

    @property
    def by(self) -> tuple[str, ...]:
        return tuple(name for name in (self.method, self.route) if name)


async def find_names(backend: MetricsBackend, period: Period, service: str = "") -> Names:
    """From the label names of the series that exist, of one service or of all."""
    metrics = (*_REQUESTS, _DURATIONS, *_IN_FLIGHT)
    found = await asyncio.gather(*(_label_names(backend, period, _selector(m, service)) for m in metrics))
    labels = {metric: names for metric, names in zip(metrics, found, strict=True) if names}
    requests = _first(_REQUESTS, labels)
    in_flight = _first(_IN_FLIGHT, labels)
    of_requests = labels.get(requests, [])
    route, method = _first(_ROUTES, of_requests), _first(_METHODS, of_requests)
    return Names(
        requests=requests,
        durations=_first((_DURATIONS,), labels),
        in_flight=in_flight,
        statuses=tuple(name for name in _STATUSES if name in of_requests),
        route=route,
        method=method,
        in_flight_by=tuple(name for name in (method, route) if name and name in labels.get(in_flight, [])),
    )


@dataclass(frozen=True, slots=True)
class Red:
    """PromQL for one service, or for all when `service` is empty."""

    names: Names
    window: str
    service: str = ""
    only: tuple[tuple[str, str], ...] = ()
    """Further labels and their values: one route."""

    def rate(self, *by: str) -> str:
        return f"sum{_by(by)}(rate({self._select(self.names.requests)}[{self.window}]))"

    def errors(self, *by: str) -> str:
        """Server errors as a share of requests; no value where there was none."""
        failed = [self._select(self.names.requests, f'{status}=~"{SERVER_ERROR}"') for status in self.names.statuses]
        numerators = [f"sum{_by(by)}(rate({selector}[{self.window}]))" for selector in failed]
        numerator = numerators[0] if len(numerators) == 1 else f"({' or '.join(numerators)})"
        return f"{numerator} / {self.rate(*by)}"

    def quantile(self, quantile: float, *by: str) -> str:
        buckets = f"sum{_by((*by, 'le'))}(rate({self._select(self.names.durations)}[{self.window}]))"
        return f"histogram_quantile({quantile:g}, {buckets})"

    def in_flight(self, *by: str) -> str:
        return f"sum{_by(by)}({self._in_flight_selector()})"

    def mean_in_flight(self, *by: str) -> str:
        """Over the window: the count of a moment jumps too much to be read as a curve."""
        return f"sum{_by(by)}(avg_over_time({self._in_flight_selector()}[{self.window}]))"

    def _in_flight_selector(self) -> str:
        known = tuple(pair for pair in self.only if pair[0] in self.names.in_flight_by)
        return replace(self, only=known)._select(self.names.in_flight)

    def _select(self, metric: str, *more: str) -> str:
        pairs = ([("job", self.service)] if self.service else []) + list(self.only)
        matchers = [*(f'{name}="{quoted(value)}"' for name, value in pairs), *more]
        return f"{metric}{{{', '.join(matchers)}}}" if matchers else metric


def _by(names: tuple[str, ...]) -> str:
    return f" by ({', '.join(names)}) " if names else ""


def _selector(metric: str, service: str) -> str:
    return f'{metric}{{job="{quoted(service)}"}}' if service else metric


def _first(candidates: tuple[str, ...], present: Container[str]) -> str:
    return next((name for name in candidates if name in present), "")


async def _label_names(backend: MetricsBackend, period: Period, selector: str) -> list[str]:
    try:
        return await backend.label_names([selector], period.start_ms, period.end_ms)
    except QueryError:
        # The queries that follow meet the same failure, and show it where their numbers would be.
        return []
