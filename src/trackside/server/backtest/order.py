"""In which order rules are replayed: what a rule reads must have been written for the whole time before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.model.matchers import MatchOp
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import VectorSelector
from trackside.server.promql.walk import selectors_of
from trackside.server.rules.config import AlertingRule, RecordingRule, Rule, RuleGroupConfig

ALERT_SERIES = ("ALERTS", "ALERTS_FOR_STATE")


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule and its group."""

    rule: Rule
    group: RuleGroupConfig
    place: int
    """Among all rules, in the order of the file."""


def in_order(groups: Sequence[RuleGroupConfig]) -> tuple[list[Placed], list[Placed]]:
    """All rules, each after those whose series it reads; and those that read, round about, what they write
    themselves, which come in the order of the file."""
    every = [(rule, group) for group in groups for rule in group.rules]
    waiting = [Placed(rule, group, place) for place, (rule, group) in enumerate(every)]
    sources = {one.place: _sources(one, waiting) for one in waiting}
    ordered: list[Placed] = []
    while waiting:
        missing = {one.place for one in waiting}
        ready = [one for one in waiting if sources[one.place].isdisjoint(missing)]
        if not ready:
            return [*ordered, *waiting], waiting
        ordered += ready
        waiting = [one for one in waiting if not sources[one.place].isdisjoint(missing)]
    return ordered, []


def written_names(groups: Sequence[RuleGroupConfig]) -> frozenset[str]:
    rules = [rule for group in groups for rule in group.rules]
    names = {rule.name for rule in rules if isinstance(rule, RecordingRule)}
    return frozenset(names | ({*ALERT_SERIES} if any(isinstance(rule, AlertingRule) for rule in rules) else set()))


def _sources(reader: Placed, rules: Sequence[Placed]) -> set[int]:
    """Places of the other rules whose series it reads."""
    selectors = selectors_of(parse(reader.rule.expr))
    return {
        one.place for one in rules if one is not reader and any(_selects(selector, one.rule) for selector in selectors)
    }


def _selects(selector: VectorSelector, writer: Rule) -> bool:
    if isinstance(writer, RecordingRule):
        return selector.name == writer.name
    if selector.name not in ALERT_SERIES:
        return False
    wanted = [each.value for each in selector.matchers if each.name == "alertname" and each.op is MatchOp.EQUAL]
    return not wanted or writer.name in wanted
