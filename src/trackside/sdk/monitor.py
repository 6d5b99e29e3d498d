"""`Monitor`: what an application makes one of, and everything it can do with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge, Mode
from trackside.instruments.histogram import DEFAULT_BUCKETS, Histogram
from trackside.instruments.registry import DEFAULT_QUANTILES, DEFAULT_SCHEMA, DEFAULT_WINDOW_S, Registry
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.sdk.about import About
from trackside.sdk.endpoints import Endpoints, Paths
from trackside.sdk.families.nothing import NOTHING
from trackside.sdk.families.ready_made import ReadyMade
from trackside.sdk.guard import Guard
from trackside.sdk.health import Health
from trackside.sdk.request_options import RequestMetricsOptions, path_patterns
from trackside.sdk.settings import Settings
from trackside.sdk.signals import Signals
from trackside.sdk.switched_off import NO_INSTRUMENT
from trackside.sdk.watch.context import Pushing, Shared, WatchContext
from trackside.sdk.watch.watched import Watched

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.info import Info
    from trackside.instruments.quantiles import Quantiles
    from trackside.sdk.beats import Beat
    from trackside.sdk.integrations import Call
    from trackside.sdk.jobs import Job
    from trackside.sdk.metrics_page import MetricsPage
    from trackside.sdk.push.destination import Destination
    from trackside.sdk.push.pusher import Pusher
    from trackside.sdk.request_metrics import RequestMetrics

T = TypeVar("T")


class Monitor(ReadyMade, Signals):
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
        shared: bool | str = True,
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
        shared: whether the worker processes of one server are shown together, by whichever of them is scraped. A
            directory does that for processes which nothing else connects.
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
        if self.enabled and shared:
            with guard.shielded("find other processes of the application"):
                self._share("" if shared is True else shared)
        self._page = self._new_page(guard) if self.enabled else None
        options = requests or RequestMetricsOptions(
            prefix=self._prefix, buckets=tuple(buckets), excluded_paths=path_patterns(excluded_paths)
        )
        self.context = self._new_context(guard, options, Paths(metrics_path, health_path, path_prefix))
        """What adapters work with."""
        self.about = About(service, self.settings, environ, self.context)
        self._watched = Watched()
        self._pusher: Pusher | None = None
        if self.enabled and self.settings.remote_write_url:
            with guard.shielded("read where to push metrics to"):
                self._push(self._destinations(with_server=False))

    def _new_context(self, guard: Guard, options: RequestMetricsOptions, paths: Paths) -> WatchContext:
        return WatchContext(
            self.registry,
            self._measure_requests(options) if self.enabled else None,
            Endpoints(paths, self.health, self._page),
            guard,
            Shared(),
            self._prefix,
            self.settings.slow_query_s,
            Pushing(self.flush, self._stop_pushing),
            self.service,
            self.settings,
        )

    def _new_page(self, guard: Guard) -> MetricsPage:
        from trackside.instruments.bridge import Bridge  # noqa: PLC0415 - not where metrics are off
        from trackside.instruments.process_metrics import process_families  # noqa: PLC0415 - as above
        from trackside.sdk.metrics_page import MetricsPage  # noqa: PLC0415 - as above

        # Nothing that the registry holds holds the monitor: the handler of its logs may be there longer than it is.
        self.registry.add_collector(partial(_info_families, self._info))
        self.registry.add_collector(self.health.collect)
        self.registry.add_collector(process_families, "pid")
        page = MetricsPage(self.registry, Bridge(self.registry, self.settings.multiprocess_dir), guard)
        page.connect()
        return page

    def _measure_requests(self, options: RequestMetricsOptions) -> RequestMetrics:
        from trackside.sdk.built_in import built_in_names  # noqa: PLC0415 - not where metrics are off
        from trackside.sdk.request_metrics import RequestMetrics  # noqa: PLC0415 - as above

        made = RequestMetrics(self.registry, options)
        if self._page is not None:
            self._page.built_in.update(made.names, (options.prefix + options.open_sockets,))
            self._page.built_in.update(built_in_names(self._prefix, options.prefix))
        return made

    def _share(self, where: str) -> None:
        from trackside.instruments.shared.joining import share  # noqa: PLC0415 - not where metrics are off

        share(self.registry, self.service, where)

    def watch(self, thing: T) -> T:
        """Measure `thing` and give it our endpoints. The second time does nothing.

        A FastAPI, Starlette, Litestar, Flask or Django application is instrumented in place and returned. Any other
        ASGI or WSGI callable comes back wrapped: `app = monitor.watch(app)`. Database engines, connections and
        pools, Redis clients, HTTP clients, clients of language models and MCP servers are measured in place. Packages
        that declare an entry point in the group `trackside.watch` add more.

        Raises:
            TypeError: it cannot be watched; the message says what can.
        """
        if self._page is not None:
            self._page.connect()
        self._start_pushing()
        if self.enabled:
            from trackside.sdk.runtime.gc_pauses import GcPauses  # noqa: PLC0415 - not before there is something to watch

            GcPauses.of(self.context)
        from trackside.sdk.watch.registry import watch  # noqa: PLC0415 - not before there is something to watch

        return cast(T, self._watched.once(thing, lambda: watch(thing, self.context)))

    def counter(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Counter:
        """A number that grows: `monitor.counter("orders_total", "Orders.", labels=("kind",)).labels("gift").inc()`.

        The same arguments give the same counter. One on the level of a module is the fastest.

        Raises:
            ValueError: no name for a metric, or one that is taken by something else.
        """
        if not self.enabled:
            return cast(Counter, NO_INSTRUMENT)
        self._start_pushing()
        return self.registry.counter(self._named(name), help, labels, unit)

    def gauge(
        self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "", mode: Mode | None = None
    ) -> Gauge:
        """A number that goes up and down. As `counter` otherwise.

        mode: what is shown where several workers serve the application: their "sum", the "max" or "min", what was set
            "last", or each "live" one by itself in a label `pid`. Without it the sum, unless the name ends in a word
            that cannot be added up, such as `_ratio` or `_timestamp_seconds`.
        """
        if not self.enabled:
            return cast(Gauge, NO_INSTRUMENT)
        self._start_pushing()
        return self.registry.gauge(self._named(name), help, labels, unit, mode)

    def histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        buckets: Iterable[float] | None = None,
        native: bool | int = False,
    ) -> Histogram:
        """Values sorted into buckets, for quantiles. As `counter` otherwise.

        native: buckets that find their range themselves, 8 for each power of two to begin with; a number n: 2**n. A
            Prometheus that scrapes native histograms gets them; the text formats show count and sum, and `buckets` too
            when they are given.
        """
        if not self.enabled:
            return cast(Histogram, NO_INSTRUMENT)
        self._start_pushing()
        if native is False:
            chosen = DEFAULT_BUCKETS if buckets is None else buckets
            return self.registry.histogram(self._named(name), help, labels, unit, chosen)
        schema = DEFAULT_SCHEMA if native is True else native
        return self.registry.native_histogram(self._named(name), help, labels, unit, buckets or (), schema)

    def quantiles(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        quantiles: Iterable[float] = DEFAULT_QUANTILES,
        window_s: float = DEFAULT_WINDOW_S,
    ) -> Quantiles:
        """Gauges with a label `quantile`, of what was observed in the last `window_s` seconds by all workers together:
        `monitor.quantiles("delay_seconds").observe(0.3)`. The latest 512 observations of each are remembered."""
        if not self.enabled:
            return cast("Quantiles", NO_INSTRUMENT)
        self._start_pushing()
        return self.registry.quantiles(self._named(name), help, labels, unit, quantiles, window_s)

    def info(self, name: str, labels: Mapping[str, object], help: str = "") -> Info:
        """A series that is always 1 and whose labels say something: `monitor.info("build", {"commit": "1f3a"})`. Called
        again it says it anew."""
        if not self.enabled:
            return cast("Info", NO_INSTRUMENT)
        self._start_pushing()
        return self.registry.info(self._named(name), labels, help)

    def integration(self, name: str, operation: str = "") -> Call:
        """Measure a call of another service: `with monitor.integration("slack", "post_message"):`, or as a decorator.

        Both are labels: few values. A block is an error when it raises, or says so: `as call`, `call.failed("...")`.
        """
        if not self.enabled:
            return cast("Call", NOTHING)
        from trackside.sdk.integrations import Integrations  # noqa: PLC0415 - not everybody calls others

        return Integrations.of(self.context).call(name, operation)

    def name_integration(self, name: str, *hosts: str) -> None:
        """What watched HTTP clients call these hosts: `("gorgias", "*.gorgias.com")`. Else it is the host itself."""
        if self.enabled:
            from trackside.sdk.integrations import Integrations  # noqa: PLC0415 - as above

            Integrations.of(self.context).names.add(name, hosts)

    def job(self, name: str, queue: str = "", *, id: str = "", attempt: int | None = None, source: str = "") -> Job:
        """Measure background work: `with monitor.job("resize", queue="high"):`, or as a decorator, asynchronous too.

        Both are labels: few values. A block is a failed job when it raises, or says so: `as job`, `job.failed()`.
        Where TRACKSIDE_URL is set each run is reported to that server, with its traceback, and with what `monitor.ai`
        and `job.cost(usd=…)` spend in it.

        id: of the job in its queue or table, so that the report joins what the server sees there. Without one, a block
            within a job of a watched worker is a part of that job, and elsewhere a job that the server knows of us.
        attempt: which one of that job it is, from 1.
        source: the server's name for that queue or table; the service where it knows none.
        """
        if not self.enabled:
            return cast("Job", NOTHING)
        from trackside.sdk.job_metrics import JobMetrics  # noqa: PLC0415 - not everybody has jobs
        from trackside.sdk.jobs import Job  # noqa: PLC0415 - as above

        return Job(JobMetrics.of(self.context), name, queue, (id, attempt, source))

    def beat(self, name: str, *, every: float, live: bool = False, critical: bool = True) -> Beat:
        """Declare what must happen every so many seconds, such as a round of a poller; then call what is returned, or
        `with` it, each time round. Until it was called, and when it is called no more, the application is not ready.

        `live` and `critical` as those of a health check.
        """
        from trackside.sdk.beats import Beats  # noqa: PLC0415 - not everybody has something that beats

        return Beats.of(self.context, self.health).beat(name, every, live=live, critical=critical)

    def push(
        self,
        url: str = "",
        *,
        username: str = "",
        password: str = "",
        interval_s: float = 15.0,
        instance: str = "",
        native_histograms: bool = False,
    ) -> None:
        """Send all metrics to a remote write receiver every so often, from a thread of its own. It is for platforms
        where nothing can scrape, and happens by itself where PROMETHEUS_REMOTE_WRITE_URL is set.

        url: without one it goes to where that variable and TRACKSIDE_URL say. What the server there scrapes as well is
            counted twice.
        instance: the label `instance`, instead of host and process id. No two processes may have the same.
        native_histograms: with their buckets, which a receiver must be told to expect: others may refuse everything.
            PROMETHEUS_REMOTE_WRITE_NATIVE_HISTOGRAMS says so too.

        Raises:
            ValueError: no URL, neither here nor in the environment.
        """
        if not self.enabled:
            return
        self._push_to(url, username, password)
        if self._pusher is None or not self._pusher.destinations:
            raise ValueError(
                'there is no address to push to: say monitor.push("https://host/api/v1/write"), or set'
                " PROMETHEUS_REMOTE_WRITE_URL or TRACKSIDE_URL in the environment"
            )
        self._pusher.interval_s, self._pusher.instance = interval_s, instance
        self._pusher.native_histograms |= native_histograms
        self._pusher.start()

    def flush(self, timeout_s: float = 3.0) -> bool:
        """Send now what waits of metrics, logs, errors, traces and reports of jobs, before the process ends in a way
        that runs nothing more (`os._exit`, the end of a serverless call). Whether that was done in time, of which there
        is one for all of them; at an ordinary exit it happens by itself."""
        from trackside.sdk.flushing import Flushing  # noqa: PLC0415 - most applications never ask for it

        pusher = self._pusher
        return Flushing.of(self.context).flush(timeout_s, () if pusher is None else (pusher.ask,))

    def exposition(self) -> bytes:
        """What `/metrics` answers in the text format; empty when metrics are off."""
        return b"" if self._page is None else self._page.render("")[1]

    def _push_to(self, url: str = "", username: str = "", password: str = "") -> None:
        """Without a URL to where the environment says."""
        # Most applications are scraped, and do not pay for this.
        from trackside.sdk.push.destination import Destination  # noqa: PLC0415 - see above

        self._push([Destination.of("remote_write", url, username, password)] if url else self._destinations())

    def _push(self, where: list[Destination]) -> None:
        from trackside.sdk.push.pusher import Pusher  # noqa: PLC0415 - see above

        self._pusher = self._pusher or Pusher(self.registry, self.context.guard, self.service or "app")
        self._pusher.native_histograms |= self.settings.remote_write_native_histograms
        self._pusher.add(where)

    def _destinations(self, *, with_server: bool = True) -> list[Destination]:
        from trackside.sdk.push.destination import destinations  # noqa: PLC0415 - as above

        def refused(error: ValueError) -> None:
            self.context.guard.failed("read where to push metrics to", error)

        return destinations(self.settings, refused, with_server=with_server)

    def _start_pushing(self) -> None:
        # At the first use and not when the monitor is made: a process that only imports the application pushes nothing.
        if self._pusher is not None:
            self._pusher.start()

    def _stop_pushing(self) -> None:
        if self._pusher is not None:
            self._pusher.stop()

    def _named(self, name: str) -> str:
        if not isinstance(name, str):
            raise TypeError(f'expected the name of a metric such as "orders_total"; got {name!r}')
        return name if name.startswith(self._prefix) else self._prefix + name


def _info_families(info: Labels) -> Iterator[MetricFamily]:
    help = "The application: its service, environment and version."
    yield MetricFamily("app_info", MetricType.GAUGE, help, (Sample("app_info", info, 1.0),))
