"""Series that rules write: one row for each evaluation, and an end marker for a series that is no longer there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.rules.config import RecordingRule
from trackside.server.rules.template_functions import TemplateSample
from trackside.server.series import STALE, Int64s
from trackside.server.storage import Appended, Appender

_NOTHING = Appended(0)


class SeriesWriter:
    """Remembers what one rule wrote last, to mark what it writes no more."""

    def __init__(self, appender: Appender, group: str) -> None:
        self._appender = appender
        self._group = group
        self._before: frozenset[Labels] = frozenset()
        self._labels: tuple[Labels, ...] = ()
        self._refs: Int64s = np.empty(0, np.int64)

    def write(self, series: Mapping[Labels, float], time_ms: int) -> Appended:
        """
        Raises:
            LimitError: the store holds as many series as it may.
        """
        gone = self._before.difference(series)
        labels = (*series, *sorted(gone))
        self._before = frozenset(series)
        if not labels:
            return _NOTHING
        if labels != self._labels:
            self._refs = self._appender.refs(labels)
            self._labels = labels
        values = np.array([*series.values(), *[0.0] * len(gone)], np.float64)
        values[len(series) :] = STALE
        return self._appender.append_row(self._group, time_ms, self._refs, values)

    def end(self, time_ms: int) -> None:
        self.write({}, time_ms)


def recorded(samples: Iterable[TemplateSample], rule: RecordingRule) -> dict[Labels, float]:
    """
    Raises:
        QueryError: two series are the same once they have the rule's name and labels.
    """
    series: dict[Labels, float] = {}
    for sample in samples:
        labels = recorded_labels(sample.labels, rule)
        if labels in series:
            raise QueryError(f"two series have the same labels once the rule's are added: {labels}")
        series[labels] = sample.value
    return series


def recorded_labels(labels: Labels, rule: RecordingRule) -> Labels:
    return Labels.of({**labels.as_dict(), **dict(rule.labels), METRIC_NAME: rule.name})


def alert_series(alerts: Iterable[Alert]) -> dict[Labels, float]:
    """`ALERTS` and `ALERTS_FOR_STATE` of what is pending or firing."""
    series: dict[Labels, float] = {}
    for alert in alerts:
        if alert.state is AlertState.RESOLVED:
            continue
        labels = alert.labels.as_dict()
        series[Labels.of({**labels, METRIC_NAME: "ALERTS", "alertstate": alert.state.value})] = 1.0
        series[Labels.of({**labels, METRIC_NAME: "ALERTS_FOR_STATE"})] = float(alert.active_at_ms // 1000)
    return series
