"""What this service measures of itself beyond what is watched: its business."""

from __future__ import annotations

from trackside import Monitor
from trackside.sdk.request_metrics import RequestMetricsOptions

# ENABLE_PROMETHEUS_METRICS=false switches all of it off: no middleware, no /metrics, every call below does nothing.
monitor = Monitor(
    "ecommerce-api",
    requests=RequestMetricsOptions(path_label="endpoint", status_label="status_code"),
)

customers_loaded = monitor.counter("customers_loaded_total", "Customers read by imports, new ones and known ones.")
archetypes_loaded = monitor.counter("archetypes_loaded_total", "Archetypes read by imports.")
# Whether the data is fresh cannot be read from a count: the age of the last success can.
last_import = monitor.gauge(
    "customers_loaded_timestamp_seconds", "When an import last succeeded, in seconds since 1970."
)
