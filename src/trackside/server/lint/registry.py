"""Every check by its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trackside.server.lint.checks import aggregation, counters, histograms, presence, ratios, texts, timing
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Problem, Subject


@dataclass(frozen=True, slots=True)
class Check:
    number: str
    title: str
    run: Callable[[Subject, Facts], Iterator[Problem]]


EXPRESSION_CHECKS = (
    Check("L1", "a rate taken for a share", ratios.rate_for_share),
    Check("L1", "a rate taken for an amount", ratios.rate_for_amount),
    Check("L1", "a rate of each series", ratios.rate_of_each_series),
    Check("L2", "a metric divided by itself", ratios.same_metric_divided),
    Check("L3", "labels that never match", ratios.labels_never_match),
    Check("L4", "a counter without rate", counters.counter_without_rate),
    Check("L5", "a histogram's bare name", histograms.bare_histogram),
    Check("L6", "grouping outside topk", aggregation.topk_by),
    Check("L6", "a ranking by calls", histograms.ranked_by_calls),
    Check("L7", "a quantile without sum by (le)", histograms.quantile_of_each_series),
    Check("L7", "a limit between two buckets", histograms.limit_between_buckets),
    Check("L8", "never seen", presence.never_seen),
    Check("L9", "silent when it is gone", presence.silent_when_gone),
    Check("L10", "a divisor that can be 0", ratios.divided_by_zero),
    Check("L11", "a range that is too short", timing.short_range),
    Check("L11", "a wait that is too short", timing.short_wait),
    Check("L12", "a label that the result has not", texts.unknown_label_in_text),
    Check("L13", "a label that routes choose by", texts.not_routed),
    Check("L14", "no runbook", texts.no_runbook),
    Check("L15", "the same gauge of each replica", aggregation.same_gauge_of_replicas),
    Check("L15", "a share computed in the process", aggregation.share_from_the_process),
    Check("L16", "a gauge called _total", counters.total_of_a_gauge),
    Check("L16", "a rate of a gauge", counters.rate_of_a_gauge),
)
ROUTING_TITLES = {
    "L17": "a repeat interval that is rounded up",
    "L18": "a route or receiver that is never used",
    "L19": "a template that does not compile",
    "L20": "groups without end",
}
