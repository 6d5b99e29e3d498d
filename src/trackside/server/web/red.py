"""The queries behind rate, errors, duration and load of HTTP services, whatever their exporter calls its labels."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, quoted
from trackside.server.backend import MetricsBackend
from trackside.server.web.period import Period

_REQUESTS = ("http_requests_total", "http_request_duration_seconds_count")
_DURATIONS = "http_request_duration_seconds_bucket"
_IN_FLIGHT = ("http_requests_in_progress", "http_requests_inprogress")
_STEMS = (*_REQUESTS, _DURATIONS, *_IN_FLIGHT)
_PREFIX = "([a-zA-Z_:][a-zA-Z0-9_:]*_)?"
MAX_METRICS = 50
"""Names that are looked at: each is one more question."""
_ROUTES = ("path", "route", "handler", "endpoint", "url_rule")
_STATUSES = ("status", "status_code", "code")
_METHODS = ("method", "http_method")

SERVER_ERROR = "5.."


@dataclass(frozen=True, slots=True)
class Names:
    """What the HTTP series of a service, or of all of them, are called; "" for what is not there."""

    requests: str = ""
    """Several are parted by |, as in an expression: those of services with prefixes of their own."""
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
    """From the names and label names of the series that exist, of one service or of all."""
    metrics = await _metrics(backend, period, service)
    requests = next(filter(None, (metrics[stem] for stem in _REQUESTS)), "")
    in_flight = next(filter(None, (metrics[stem] for stem in _IN_FLIGHT)), "")
    of_all = Red(Names(), "", service)
    of_requests, of_in_flight = await asyncio.gather(
        *(_label_names(backend, period, of_all.select(one) if one else "") for one in (requests, in_flight))
    )
    route, method = _first(_ROUTES, of_requests), _first(_METHODS, of_requests)
    return Names(
        requests=requests,
        durations=metrics[_DURATIONS],
        in_flight=in_flight,
        statuses=tuple(name for name in _STATUSES if name in of_requests),
        route=route,
        method=method,
        in_flight_by=tuple(name for name in (method, route) if name and name in of_in_flight),
    )


async def _metrics(backend: MetricsBackend, period: Period, service: str) -> dict[str, str]:
    """What each of `_STEMS` is called: as it is, or behind the prefix of an application."""
    job = f', job="{quoted(service)}"' if service else ""
    selector = f'{{{METRIC_NAME}=~"{_PREFIX}({"|".join(_STEMS)})"{job}}}'
    found = (await _values(backend, period, METRIC_NAME, selector))[:MAX_METRICS]
    jobs = {name: [service] for name in found}
    if not service and any(name not in _STEMS for name in found):
        its_jobs = await asyncio.gather(*(_values(backend, period, "job", name) for name in found))
        jobs = {name: own or [""] for name, own in zip(found, its_jobs, strict=True)}
    return {stem: _called(stem, jobs) for stem in _STEMS}


def _called(stem: str, jobs: Mapping[str, Sequence[str]]) -> str:
    """Of each service the shortest name: others are of its clients, or of a part of it."""
    chosen: dict[str, str] = {}
    for name in sorted(
        (one for one in jobs if one == stem or one.endswith(f"_{stem}")), key=lambda one: (len(one), one)
    ):
        for job in jobs[name]:
            chosen.setdefault(job, name)
    return "|".join(sorted(set(chosen.values())))


@dataclass(frozen=True, slots=True)
class Red:
    """PromQL for one service, or for all when `service` is empty."""

    names: Names
    window: str
    service: str = ""
    only: tuple[tuple[str, str], ...] = ()
    """Further labels and their values: one route."""

    def rate(self, *by: str) -> str:
        return f"sum{_by(by)}(rate({self.select(self.names.requests)}[{self.window}]))"

    def errors(self, *by: str) -> str:
        """Server errors as a share of requests; no value where there was none."""
        failed = [self.select(self.names.requests, f'{status}=~"{SERVER_ERROR}"') for status in self.names.statuses]
        numerators = [f"sum{_by(by)}(rate({selector}[{self.window}]))" for selector in failed]
        numerator = numerators[0] if len(numerators) == 1 else f"({' or '.join(numerators)})"
        return f"{numerator} / {self.rate(*by)}"

    def quantile(self, quantile: float, *by: str) -> str:
        buckets = f"sum{_by((*by, 'le'))}(rate({self.select(self.names.durations)}[{self.window}]))"
        return f"histogram_quantile({quantile:g}, {buckets})"

    def in_flight(self, *by: str) -> str:
        return f"sum{_by(by)}({self._in_flight_selector()})"

    def mean_in_flight(self, *by: str) -> str:
        """Over the window: the count of a moment jumps too much to be read as a curve."""
        return f"sum{_by(by)}(avg_over_time({self._in_flight_selector()}[{self.window}]))"

    def _in_flight_selector(self) -> str:
        known = tuple(pair for pair in self.only if pair[0] in self.names.in_flight_by)
        return replace(self, only=known).select(self.names.in_flight)

    def select(self, metric: str, *more: str) -> str:
        pairs = ([("job", self.service)] if self.service else []) + list(self.only)
        matchers = [*(f'{name}="{quoted(value)}"' for name, value in pairs), *more]
        if "|" in metric:
            metric, matchers = "", [f'{METRIC_NAME}=~"{metric}"', *matchers]
        return f"{metric}{{{', '.join(matchers)}}}" if matchers else metric


def _by(names: tuple[str, ...]) -> str:
    return f" by ({', '.join(names)}) " if names else ""


def _first(candidates: tuple[str, ...], present: Container[str]) -> str:
    return next((name for name in candidates if name in present), "")


async def _label_names(backend: MetricsBackend, period: Period, selector: str) -> list[str]:
    if not selector:
        return []
    try:
        return await backend.label_names([selector], period.start_ms, period.end_ms)
    except QueryError:
        # The queries that follow meet the same failure, and show it where their numbers would be.
        return []


async def _values(backend: MetricsBackend, period: Period, name: str, selector: str) -> list[str]:
    try:
        return await backend.label_values(name, [selector], period.start_ms, period.end_ms)
    except QueryError:
        return []
