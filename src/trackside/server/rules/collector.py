"""Rule evaluation as metrics."""

from __future__ import annotations

from trackside.instruments.registry import Registry


class RuleMetrics:
    def __init__(self, registry: Registry) -> None:
        by_group = ("rule_group",)
        self._evaluations = registry.counter(
            "trackside_rule_evaluations_total", "Evaluations of single rules", by_group
        )
        self._failures = registry.counter(
            "trackside_rule_evaluation_failures_total", "Evaluations of single rules that failed", by_group
        )
        self._missed = registry.counter(
            "trackside_rule_group_iterations_missed_total", "Evaluations of groups left out for lack of time", by_group
        )
        self._duration = registry.gauge(
            "trackside_rule_group_last_duration_seconds", "How long the last evaluation of the group took", by_group
        )
        self._last = registry.gauge(
            "trackside_rule_group_last_evaluation_timestamp_seconds", "When the group was last evaluated", by_group
        )
        self._dropped = registry.counter(
            "trackside_rule_samples_dropped_total", "Samples that the store did not take from a rule", by_group
        )
        self.state_write_failures = registry.counter(
            "trackside_rule_state_write_failures_total", "Times the state of alerts could not be written to disk"
        )

    def forget(self, group: str) -> None:
        for instrument in (self._evaluations, self._failures, self._missed, self._dropped):
            instrument.remove(group)
        self._duration.remove(group)
        self._last.remove(group)

    def evaluated(self, group: str, *, failed: bool) -> None:
        self._evaluations.labels(group).inc()
        self._failures.labels(group).inc(int(failed))

    def finished(self, group: str, now_ms: int, seconds: float, missed: int) -> None:
        self._duration.labels(group).set(seconds)
        self._last.labels(group).set(now_ms / 1000)
        self._missed.labels(group).inc(missed)

    def dropped(self, group: str, samples: int) -> None:
        self._dropped.labels(group).inc(samples)
