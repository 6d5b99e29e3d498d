"""Asking a store what it holds of the metrics that rules use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.backend import MetricsBackend
from trackside.server.lint.facts import PARTS, Stored, names_in
from trackside.server.lint.finding import Subject
from trackside.server.promql.quoting import quoted
from trackside.server.series import Matrix

DAY_MS = 86_400_000
LOOK_BACK_MS = 7 * DAY_MS
MOST_NAMES = 2_000
MOST_SERIES = 5_000
"""Of one metric: enough to know its labels."""

Metadata = Mapping[str, Iterable[tuple[str, str, str]]]
"""Metric family to (type, help, unit)."""


async def gather(
    backend: MetricsBackend,
    metadata: Metadata,
    subjects: Sequence[Subject],
    now_ms: int,
    look_back_ms: int = LOOK_BACK_MS,
) -> Stored:
    """
    Raises:
        QueryError: the store cannot be asked.
    """
    start_ms = now_ms - look_back_ms
    stored = frozenset(await backend.label_values(METRIC_NAME, (), start_ms, now_ms))
    series: dict[str, tuple[Labels, ...]] = {}
    for name in sorted(_wanted(subjects))[:MOST_NAMES]:
        found = await backend.series([_selector(name)], start_ms, now_ms) if name in stored else []
        series[name] = tuple(found[:MOST_SERIES])
    types = {family: next(iter(kinds))[0] for family, kinds in metadata.items() if kinds}
    latest = await _latest(backend, series, now_ms)
    return Stored(series, inferred_types(series) | types, latest, stored, f"{look_back_ms // DAY_MS}d")


def inferred_types(series: Mapping[str, tuple[Labels, ...]]) -> dict[str, str]:
    """What names and labels tell, for when no target says it."""
    types: dict[str, str] = {}
    for name, found in series.items():
        if name.endswith("_bucket") and any("le" in labels for labels in found):
            types[name.removesuffix("_bucket")] = "histogram"
        elif any("quantile" in labels for labels in found):
            types[name] = "summary"
        elif found and not name.endswith(("_total", "_created", *PARTS)):
            types.setdefault(name, "gauge")
    return types


def _wanted(subjects: Sequence[Subject]) -> set[str]:
    """The metrics themselves, and the parts that they would have as histograms."""
    names = names_in(subjects)
    return set(names) | {f"{name}{part}" for name in names if not name.endswith(("_total", *PARTS)) for part in PARTS}


async def _latest(
    backend: MetricsBackend, series: Mapping[str, tuple[Labels, ...]], now_ms: int
) -> dict[Labels, float]:
    latest: dict[Labels, float] = {}
    for name, found in series.items():
        if not found or name.endswith((*PARTS, "_total")) or len(found) >= MOST_SERIES:
            continue
        try:
            value = (await backend.query(_selector(name), now_ms)).value
        except QueryError:
            continue  # a check without it says less, and nothing wrong
        if isinstance(value, Matrix):
            latest |= dict(zip(value.labels, value.values[:, 0].tolist(), strict=True))
    return latest


def _selector(name: str) -> str:
    return f"{{{METRIC_NAME}={quoted(name)}}}"
