"""What this service measures and reports: metrics and JSON logs always, errors where SENTRY_DSN says where to."""

from __future__ import annotations

from collections.abc import Iterator

from trackside import Monitor
from trackside.instruments.process_metrics import process_families
from trackside.model.metrics import MetricFamily
from trackside.sdk.request_metrics import RequestMetricsOptions

_PREFIX = "railgun_"
# With a bound at 2 s, since an alert asks how many requests take longer.
_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5)

# /api/v1/metrics, /api/v1/health, /api/v1/health/ready, /api/v1/health/live. The preset also counts open WebSockets, in
# railgun_websocket_connections.
monitor = Monitor(
    "railgun",
    prefix=_PREFIX,
    path_prefix="/api/v1",
    requests=RequestMetricsOptions.preset("railgun", buckets=_BUCKETS),
)

monitor.logs()

# Authorization, cookies, passwords and tokens are taken out of every report without our saying so. What people write to
# each other is nobody's business either.
monitor.errors(secret_keys=("text",))

_processed = monitor.counter("messages_processed_total", "Messages that were stored and passed on.", labels=("type",))
# There from now on: the first message is an increase, and not a step from nothing to 1.
processed = {kind: _processed.labels(kind) for kind in ("dm", "channel")}


def _process() -> Iterator[MetricFamily]:
    """CPU, memory and open files of this process, under the prefix that all the rest has."""
    for family in process_families():
        samples = [sample._replace(name=_PREFIX + sample.name) for sample in family.samples]
        yield family._replace(name=_PREFIX + family.name, samples=samples)


monitor.registry.add_collector(_process, "pid")
