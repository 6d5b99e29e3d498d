"""The monitor of this server. What it measures stands where it happens."""

from __future__ import annotations

from trackside import Monitor

# ENABLE_PROMETHEUS_METRICS=false switches all of it off: no middleware, no /metrics, every call does nothing.
monitor = Monitor("ingestion-server")
