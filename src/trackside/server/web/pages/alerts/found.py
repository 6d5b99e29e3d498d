"""Every alert that is known now, with the rule behind it: those of our rules and those that others push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleStatus
from trackside.server.fingerprint import fingerprints
from trackside.server.web.console import Console
from trackside.server.web.verdict import alert_level


@dataclass(frozen=True, slots=True)
class Found:
    alert: Alert
    rule: RuleStatus | None
    """None: none of them raises it."""
    is_pushed: bool = False
    """Whether another program says it; else, without a rule, the server itself does."""

    @property
    def for_ms(self) -> int:
        return 0 if self.rule is None else self.rule.for_ms

    @property
    def since_ms(self) -> int:
        fired_ms = self.alert.fired_at_ms
        return self.alert.active_at_ms if fired_ms is None else fired_ms


def all_alerts(console: Console) -> list[Found]:
    """Firing before pending, then the most severe, then the longest."""
    found = [Found(alert, rule) for group in console.rule_groups() for rule in group.rules for alert in rule.alerts]
    known = {one.alert.labels for one in found}
    dispatcher = console.alerting()
    if dispatcher is not None:
        firing = dispatcher.views.intake.firing(console.clock.now_ms())
        found += [Found(one.alert, None, not one.is_own) for one in firing if one.alert.labels not in known]
    return sorted(found, key=_order)


def alert_of(found: Sequence[Found], wanted: str) -> Found | None:
    """By its fingerprint, sixteen hexadecimal digits."""
    labels = called([one.alert.labels for one in found], wanted)
    return next((one for one in found if one.alert.labels == labels), None)


def called(label_sets: Iterable[Labels], wanted: str) -> Labels | None:
    """Those with this fingerprint."""
    known = list(label_sets)
    found = zip(known, fingerprints(known), strict=True)
    return next((labels for labels, fingerprint in found if fingerprint == wanted), None)


def rule_of(console: Console, labels: Labels) -> RuleStatus | None:
    """The rule that raises alerts with such labels, whether one is there now or not."""
    named = [
        rule
        for group in console.rule_groups()
        for rule in group.rules
        if rule.kind == "alerting" and rule.name == labels.get("alertname")
    ]
    # Labels may be templates, of which nobody knows what they would come to.
    fixed = {id(rule): [pair for pair in rule.labels if "{{" not in pair[1]] for rule in named}
    said = [rule for rule in named if all(labels.get(name) == value for name, value in fixed[id(rule)])]
    return next(iter(said or named), None)


def _order(one: Found) -> tuple[bool, int, int]:
    return one.alert.state is not AlertState.FIRING, -alert_level(one.alert), one.since_ms
