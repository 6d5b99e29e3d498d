"""What becomes of an alert when its series go missing: by default it resolves, as if all were well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from functools import lru_cache

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql import format as promql_text
from trackside.server.promql.parser import parse
from trackside.server.promql.signatures import COMPARISONS
from trackside.server.promql.syntax import Binary, Call, Expr
from trackside.server.promql.walk import rebuilt, walk

ANNOTATION = "trackside_no_data"
"""An annotation, not a key: promtool and Prometheus read such a file unchanged."""


class NoData(Enum):
    RESOLVE = "resolve"
    """Prometheus' way: a series that is gone is a series for which the expression does not hold."""
    KEEP = "keep"
    """The alert stays as it is until there is data again."""
    ALERT = "alert"
    """As if the expression held; when there is no series at all, an alert with the rule's own labels."""


@lru_cache(maxsize=1024)
def data_expr(expr: str) -> str:
    """An expression with a series for each series that `expr` looked at, whether or not its conditions held.

    `sum by (job) (rate(errors[5m])) > 5` has none when all is well and none when nothing is scraped;
    `… > bool 5` tells the two apart.
    """
    return promql_text.format(rebuilt(parse(expr), _unconditional))


def decides_itself(expr: str) -> bool:
    """Whether the expression says already what missing data means."""
    return any(isinstance(each, Call) and each.function.startswith("absent") for each in walk(parse(expr)))


def missing(
    alerts: Mapping[Labels, Alert], holding: Iterable[Labels], data: Iterable[Labels], own: Iterable[str]
) -> dict[Labels, Alert]:
    """Pending and firing alerts that the expression does not hold for, and whose series are not among `data`.

    `own`: the labels that the rule sets, which the series may have otherwise.
    """
    over = set(holding)
    names = (*own, "alertname", METRIC_NAME)
    seen = {labels.without(*names) for labels in data}
    if seen:
        # The alert that there is no series at all, which any series ends.
        seen.add(Labels())
    return {
        labels: alert
        for labels, alert in alerts.items()
        if alert.state is not AlertState.RESOLVED and labels not in over and labels.without(*names) not in seen
    }


def _unconditional(expr: Expr) -> Expr | None:
    if not isinstance(expr, Binary):
        return None
    if expr.op == "unless":
        return rebuilt(expr.left, _unconditional)
    if expr.op in COMPARISONS and not expr.returns_bool:
        left, right = rebuilt(expr.left, _unconditional), rebuilt(expr.right, _unconditional)
        return replace(expr, left=left, right=right, returns_bool=True)
    return None
