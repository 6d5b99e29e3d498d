"""What is known beside the expression: series really stored, their types, and the rest of the file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.lint.finding import Subject
from trackside.server.promql.syntax import VectorSelector
from trackside.server.promql.walk import selectors_of

DEFAULT_SCRAPE_INTERVAL_MS = 15_000
REPLICA_LABELS = ("instance", "pod", "replica", "host", "hostname")
PARTS = ("_bucket", "_sum", "_count")

# Labels of metrics that everybody has from the same exporter, for when nothing is stored yet.
WELL_KNOWN_LABELS: Mapping[str, frozenset[str]] = {
    "pg_stat_activity_count": frozenset(
        ("datname", "state", "usename", "application_name", "wait_event", "backend_type", "instance", "job", "server")
    ),
    "pg_settings_max_connections": frozenset(("instance", "job", "server")),
    "pg_stat_database_numbackends": frozenset(("datid", "datname", "instance", "job", "server")),
    "redis_memory_used_bytes": frozenset(("instance", "job")),
    "redis_memory_max_bytes": frozenset(("instance", "job")),
    "redis_connected_clients": frozenset(("instance", "job")),
    "up": frozenset(("instance", "job")),
}
# Gauges that are 0 where no limit is set, which is what most people have.
ZERO_WITHOUT_LIMIT = frozenset(
    (
        "redis_memory_max_bytes",
        "redis_config_maxmemory",
        "container_spec_memory_limit_bytes",
        "container_spec_cpu_quota",
        "container_spec_memory_swap_limit_bytes",
    )
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store holds of the metrics that the expressions ask for."""

    series: Mapping[str, tuple[Labels, ...]]
    """By metric name; an empty tuple: never seen in the time that was looked at."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Metric family to "counter", "gauge", "histogram" or "summary"."""
    latest: Mapping[Labels, float] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    """Of all metrics that are stored, asked for or not."""
    looked_back: str = "7d"
    """For sentences."""


@dataclass(frozen=True, slots=True)
class Facts:
    stored: Stored | None = None
    names: frozenset[str] = frozenset()
    """Metric names that any expression of the file uses."""
    recorded: frozenset[str] = frozenset()
    """Names of the series that rules write."""
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of the series that the rules of the file write: the metrics they are computed from."""
    scrape_interval_ms: int = DEFAULT_SCRAPE_INTERVAL_MS
    routed_labels: frozenset[str] = frozenset()
    """Labels that some route chooses its alerts by."""
    watches_targets: bool = False
    """Whether some alert of the file says that a target is down, and with it all its series."""
    runbooks: frozenset[str] | None = None
    """Names of the alerts that have a runbook; None: nobody keeps runbooks here."""

    def series_of(self, name: str) -> tuple[Labels, ...] | None:
        """None: not known."""
        return self.stored.series.get(name) if self.stored is not None else None

    def type_of(self, name: str) -> str:
        """ "" when it is not known."""
        return self.stored.types.get(name, "") if self.stored is not None else ""

    def label_names(self, name: str) -> frozenset[str] | None:
        """Labels that any series of the metric has; None: not known."""
        series = self.series_of(name)
        if series:
            return frozenset(label for labels in series for label, _ in labels if label != METRIC_NAME)
        return WELL_KNOWN_LABELS.get(name)

    def is_counter(self, name: str) -> bool:
        if name in self.recorded or ":" in name:
            return False
        kind = self.type_of(name) or self.type_of(name.removesuffix("_total"))
        if kind:
            return kind == "counter"
        if name.endswith(PARTS):
            family = name[: name.rindex("_")]
            return self.type_of(family) in ("histogram", "summary") or name.endswith("_bucket")
        return name.endswith("_total")

    def is_histogram(self, family: str) -> bool:
        """Whether `family` is a classic histogram's name, which has no series of its own."""
        if self.type_of(family):
            return self.type_of(family) == "histogram" and not self.series_of(family)
        if self.series_of(family):
            return False
        if self.series_of(f"{family}_bucket") or f"{family}_bucket" in self.names:
            return True
        return family.endswith(("_seconds", "_bytes")) and {f"{family}_count", f"{family}_sum"} & self.names != set()

    def buckets(self, name: str) -> tuple[float, ...]:
        """Upper bounds of the histogram whose buckets are called `name`, increasing; () when not known."""
        bounds = set()
        for labels in self.series_of(name) or ():
            try:
                bounds.add(float(labels.get("le")))
            except ValueError:
                continue
        return tuple(sorted(bound for bound in bounds if not math.isnan(bound)))


def metric_name(selector: VectorSelector) -> str:
    """ "" when it may be several."""
    return selector.name or ""


def names_in(subjects: Iterable[Subject]) -> frozenset[str]:
    return frozenset(
        name for subject in subjects for selector in selectors_of(subject.tree) if (name := metric_name(selector))
    )
