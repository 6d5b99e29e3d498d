"""The life of an alert: the alerts there were and the series an expression gives make the alerts there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.rules import no_data
from trackside.server.rules.config import AlertingRule
from trackside.server.rules.no_data import NoData

RESOLVED_RETENTION_MS = 15 * 60_000
"""How long a resolved alert is kept and offered again: whoever missed the end of it must still hear of it."""

Alerts = Mapping[Labels, Alert]


@dataclass(frozen=True, slots=True)
class Active:
    """One series of the result, labelled and annotated: the expression holds for it."""

    labels: Labels
    annotations: Labels
    value: float
    generator_url: str = ""


def alert_labels(series: Labels, rule_labels: Iterable[tuple[str, str]], name: str) -> Labels:
    """The identity of an alert. An empty rule label removes the series' own."""
    merged = {**series.without(METRIC_NAME).as_dict(), **dict(rule_labels), "alertname": name}
    return Labels.of(merged)


def step(alerts: Alerts, active: Sequence[Active], rule: AlertingRule, now_ms: int) -> dict[Labels, Alert]:
    """The alerts after an evaluation at `now_ms` that gave `active`.

    Raises:
        QueryError: two series have the same labels once labelled, so they would be one alert.
    """
    found: dict[Labels, Active] = {}
    for one in active:
        if one.labels in found:
            raise QueryError(f"two series have the same labels once the rule's are added: {one.labels}")
        found[one.labels] = one
    after: dict[Labels, Alert] = {}
    for labels, alert in alerts.items():
        now_active = found.pop(labels, None)
        next_alert = _ended(alert, rule, now_ms) if now_active is None else _still(alert, now_active, rule, now_ms)
        if next_alert is not None:
            after[labels] = next_alert
    for labels, one in found.items():
        after[labels] = _begun(one, rule, now_ms)
    return after


def without_data(
    alerts: Alerts, active: Iterable[Active], rule: AlertingRule, data: Iterable[Labels]
) -> tuple[list[Active], dict[Labels, Alert]]:
    """Of the alerts whose series are not among `data`: what counts as active all the same, and what stays as it is."""
    own = [name for name, _ in rule.labels]
    gone = no_data.missing(alerts, (one.labels for one in active), data, own)
    if rule.no_data is NoData.ALERT:
        return [Active(labels, one.annotations, math.nan, one.generator_url) for labels, one in gone.items()], {}
    return [], gone


def outgoing(alert: Alert, external: Labels) -> Alert:
    """As it leaves the rules: with the labels that say which server it comes from."""
    return replace(alert, labels=external.merged(alert.labels)) if external else alert


def resolved_all(alerts: Alerts, now_ms: int) -> dict[Labels, Alert]:
    """What remains when the rule goes away, or raises more alerts than it may: nothing pending, all firing resolved."""
    return {
        labels: _resolved(alert, now_ms) if alert.state is AlertState.FIRING else alert
        for labels, alert in alerts.items()
        if alert.state is not AlertState.PENDING
    }


def _begun(one: Active, rule: AlertingRule, now_ms: int) -> Alert:
    pending = Alert(one.labels, one.annotations, AlertState.PENDING, one.value, now_ms, generator_url=one.generator_url)
    return _fired_when_due(pending, rule, now_ms)


def _still(alert: Alert, one: Active, rule: AlertingRule, now_ms: int) -> Alert:
    if alert.state is AlertState.RESOLVED:
        return _begun(one, rule, now_ms)
    # A clock that was set back must not make the alert wait for the difference on top of `for`.
    active_at_ms = min(alert.active_at_ms, now_ms)
    alert = replace(
        alert,
        annotations=one.annotations,
        value=one.value,
        active_at_ms=active_at_ms,
        keep_firing_since_ms=None,
    )
    return _fired_when_due(alert, rule, now_ms)


def _fired_when_due(alert: Alert, rule: AlertingRule, now_ms: int) -> Alert:
    if alert.state is AlertState.PENDING and now_ms - alert.active_at_ms >= rule.for_ms:
        return replace(alert, state=AlertState.FIRING, fired_at_ms=now_ms)
    return alert


def _ended(alert: Alert, rule: AlertingRule, now_ms: int) -> Alert | None:
    """The alert when the expression no longer holds; None when there is nothing more to say of it."""
    if alert.state is AlertState.PENDING:
        return None
    if alert.state is AlertState.RESOLVED:
        resolved_ms = alert.resolved_at_ms if alert.resolved_at_ms is not None else now_ms
        return alert if now_ms - resolved_ms <= RESOLVED_RETENTION_MS else None
    if rule.keep_firing_for_ms > 0:
        since_ms = now_ms if alert.keep_firing_since_ms is None else min(alert.keep_firing_since_ms, now_ms)
        if now_ms - since_ms < rule.keep_firing_for_ms:
            return replace(alert, keep_firing_since_ms=since_ms)
    return _resolved(alert, now_ms)


def _resolved(alert: Alert, now_ms: int) -> Alert:
    return replace(alert, state=AlertState.RESOLVED, resolved_at_ms=now_ms)
