"""`Monitor`: what an application makes one of, and everything it can do with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from trackside.instruments.bridge import Bridge
from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge
from trackside.instruments.histogram import DEFAULT_BUCKETS, Histogram
from trackside.instruments.process_metrics import process_families
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.sdk.endpoints import Endpoints, Paths
from trackside.sdk.guard import Guard
from trackside.sdk.health import Health
from trackside.sdk.metrics_page import MetricsPage
from trackside.sdk.request_metrics import RequestMetrics, RequestMetricsOptions
from trackside.sdk.settings import Settings
from trackside.sdk.switched_off import NO_INSTRUMENT
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.registry import watch
from trackside.sdk.watch.watched import Watched

T = TypeVar("T")


class Monitor:
    """The monitoring of one process: `monitor = Monitor("shop")`, `monitor.watch(app)`.

    Metrics are on unless ENABLE_PROMETHEUS_METRICS or `enabled` says no. Then nothing is measured, watched applications
    are left as they are, `/metrics` is the application's own 404, and counters, gauges and histograms do nothing. The
    health endpoints stay, since orchestrators depend on them and they are no metrics; `health_path=""` removes them.
    """

    def __init__(  # noqa: PLR0913 - the public face: flat keywords read better in an application than nested options
        self,
        service: str = "",
        *,
        enabled: bool | None = None,
        registry: Registry | None = None,
        prefix: str = "",
        labels: Mapping[str, str] | None = None,
        buckets: Sequence[float] = DEFAULT_BUCKETS,
        requests: RequestMetricsOptions | None = None,
        excluded_paths: Iterable[str] = (),
        metrics_path: str = "/metrics",
        health_path: str = "/health",
        path_prefix: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        enabled: over ENABLE_PROMETHEUS_METRICS.
        prefix: before the names of all families of this application: "railgun" gives `railgun_http_requests_total`.
        labels: more of them for `app_info`, which has service, environment and version.
        buckets: upper bounds in seconds for the durations of requests.
        requests: names and limits of the request metrics in full, instead of `prefix`, `buckets` and `excluded_paths`.
        excluded_paths: not measured; "/static/*" is everything that begins so.
        metrics_path, health_path: "" switches those endpoints off.
        path_prefix: before both of them, such as "/api/v1".
        environ: read once, here.

        Raises:
            ValueError: an argument makes no sense, in a sentence that says which.
        """
        self.service = service
        self.settings = Settings.from_environment(environ)
        self.enabled = self.settings.enabled if enabled is None else enabled
        self.registry = registry if registry is not None else Registry()
        self.health = Health()
        self._prefix = f"{prefix.removesuffix('_')}_" if prefix else ""
        about = {**(labels or {}), "environment": self.settings.environment, "version": self.settings.version}
        self._info = Labels.of(about, service=service)
        guard = Guard(self.registry.count_error)
        self._page = self._new_page(guard) if self.enabled else None
        options = requests or RequestMetricsOptions(
            prefix=self._prefix, buckets=tuple(buckets), excluded_paths=tuple(excluded_paths)
        )
        self.context = WatchContext(
            self.registry,
            self._measure_requests(options) if self.enabled else None,
            Endpoints(Paths(metrics_path, health_path, path_prefix), self.health, self._page),
            guard,
        )
        """What adapters work with."""
        self._watched = Watched()

    def _new_page(self, guard: Guard) -> MetricsPage:
        for collector in (self._collect_info, self.health.collect, process_families):
            self.registry.add_collector(collector)
        page = MetricsPage(self.registry, Bridge(self.registry, self.settings.multiprocess_dir), guard)
        page.built_in.update(("app_info", "health_check_up"))
        page.connect()
        return page

    def _measure_requests(self, options: RequestMetricsOptions) -> RequestMetrics:
        before = {measured.description.name for measured in self.registry.measured()}
        made = RequestMetrics(self.registry, options)
        if self._page is not None:
            now = {measured.description.name for measured in self.registry.measured()}
            self._page.built_in.update(now - before)
        return made

    def watch(self, thing: T) -> T:
        """Measure `thing` and give it our endpoints. The second time does nothing.

        A FastAPI, Starlette, Litestar, Flask or Django application is instrumented in place and returned. Any other
        ASGI or WSGI callable comes back wrapped: `app = monitor.watch(app)`. Packages that declare an entry point
        in the group `trackside.watch` add more.

        Raises:
            TypeError: it cannot be watched; the message says what can.
        """
        if self._page is not None:
            self._page.connect()
        return cast(T, self._watched.once(thing, lambda: watch(thing, self.context)))

    def counter(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Counter:
        """A number that grows: `monitor.counter("orders_total", "Orders.", labels=("kind",)).labels("gift").inc()`.

        The same arguments give the same counter. One on the level of a module is the fastest.

        Raises:
            ValueError: no name for a metric, or one that is taken by something else.
        """
        if not self.enabled:
            return cast(Counter, NO_INSTRUMENT)
        return self.registry.counter(self._named(name), help, labels, unit)

    def gauge(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Gauge:
        """A number that goes up and down. As `counter` otherwise."""
        if not self.enabled:
            return cast(Gauge, NO_INSTRUMENT)
        return self.registry.gauge(self._named(name), help, labels, unit)

    def histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        buckets: Iterable[float] = DEFAULT_BUCKETS,
    ) -> Histogram:
        """Values sorted into buckets, for quantiles. As `counter` otherwise."""
        if not self.enabled:
            return cast(Histogram, NO_INSTRUMENT)
        return self.registry.histogram(self._named(name), help, labels, unit, buckets)

    def exposition(self) -> bytes:
        """What `/metrics` answers in the text format; empty when metrics are off."""
        return b"" if self._page is None else self._page.render("")[1]

    def _named(self, name: str) -> str:
        return name if name.startswith(self._prefix) else self._prefix + name

    def _collect_info(self) -> Iterator[MetricFamily]:
        help = "The application: its service, environment and version."
        yield MetricFamily("app_info", MetricType.GAUGE, help, (Sample("app_info", self._info, 1.0),))
