"""`/alerts/rules`: what each rule says now, what is doubtful about it, and a button to try it on the past."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from trackside.model.alerts import AlertState
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.server.lint.finding import Finding as LintFinding
from trackside.server.lint.finding import Level as LintLevel
from trackside.server.promql.quoting import quoted
from trackside.server.web import render
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.pages.alerts.expression import Compared, compared, limit_text, written
from trackside.server.web.pages.alerts.linted import LintDesk, Linted
from trackside.server.web.pages.alerts.places import TABS
from trackside.server.web.pages.alerts.threshold import Threshold, threshold_of
from trackside.server.web.period import Period
from trackside.server.web.verdict import Finding, Level, alert_level, rule_findings, worst_first

PERIODS = ("1d", "7d", "14d", "30d")
MOST_VALUES = 100
"""Rules that are asked for their value on one page."""
LINT_LEVELS = {LintLevel.ERROR: Level.BAD, LintLevel.WARNING: Level.WARN, LintLevel.INFO: Level.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Value:
    """What a rule measures at the moment."""

    text: str = ""
    limit: str = ""
    more: int = 0
    """Series beside the one that is nearest to its limit."""
    href: str = ""


@dataclass(frozen=True, slots=True)
class RuleRow:
    rule: RuleStatus
    level: Level
    word: str
    link: str
    value: Value
    findings: tuple[LintFinding, ...] = ()
    threshold: Threshold | None = None
    nth: int = 0
    """Which of the alerting rules of its name in the group."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    group: RuleGroupStatus
    rules: tuple[RuleRow, ...]


@dataclass(slots=True)
class RulesPage:
    console: Console
    linter: LintDesk = field(init=False)

    def __post_init__(self) -> None:
        self.linter = LintDesk(self.console)

    async def show(self, request: Request) -> Response:
        period = render.period_for(request, self.console)
        groups = self.console.rule_groups()
        linted = await self.linter.findings()
        values = await _values(self.console, groups, period)
        rows = [
            GroupRow(group, tuple(_row(place, group, linted, values, period) for place in range(len(group.rules))))
            for group in groups
        ]
        findings = worst_first([*rule_findings(groups), *_lint_findings(linted)])
        facts: Mapping[str, object] = {
            "tabs": TABS,
            "tab": "rules",
            "findings": findings,
            "groups": rows,
            "rule_count": sum(len(group.rules) for group in groups),
            "linted": linted,
            "lint_levels": LINT_LEVELS,
            "periods": PERIODS,
            "can_backtest": self.console.backtests is not None,
        }
        level = findings[0].level if findings else Level.OK
        page = render.Page("rules.html", "alerts", "Rules", level, facts, {})
        return render.respond(request, self.console, period, page)


def _row(
    place: int, group: RuleGroupStatus, linted: Linted, values: Mapping[tuple[str, str], Value], period: Period
) -> RuleRow:
    rule = group.rules[place]
    level, word = state_of(rule)
    return RuleRow(
        rule,
        level,
        word,
        period.explore(rule.query),
        values.get((rule.name, rule.query), Value()),
        tuple(linted.of(rule.name, group.file)),
        threshold_of(rule.query),
        sum(one.name == rule.name and one.kind == rule.kind for one in group.rules[:place]),
    )


def state_of(rule: RuleStatus) -> tuple[Level, str]:
    if rule.health == "err":
        return Level.WARN, "error"
    firing = [alert for alert in rule.alerts if alert.state is AlertState.FIRING]
    if firing:
        return max(alert_level(alert) for alert in firing), f"firing ({len(firing)})" if firing[1:] else "firing"
    if rule.alerts:
        return Level.UNKNOWN, "pending"
    if rule.health == "unknown":
        return Level.UNKNOWN, "not yet run"
    return Level.OK, "recording" if rule.kind == "recording" else "quiet"


async def _values(console: Console, groups: Sequence[RuleGroupStatus], period: Period) -> dict[tuple[str, str], Value]:
    """By name and expression."""
    rules = [rule for group in groups for rule in group.rules if rule.health != "err"][:MOST_VALUES]
    parts = [_measured(rule) for rule in rules]
    questions = {str(place): Question(part.measured) for place, part in enumerate(parts)}
    answers = await ask_all(console.backend, console.clock, period, questions)
    return {
        (rule.name, rule.query): _value(answers[str(place)], part, period)
        for place, (rule, part) in enumerate(zip(rules, parts, strict=True))
    }


def _measured(rule: RuleStatus) -> Compared:
    if rule.kind == "alerting":
        return compared(rule.query)
    labels = ",".join(f"{name}={quoted(value)}" for name, value in rule.labels)
    return Compared(f"{rule.name}{{{labels}}}" if labels else rule.name)


def _value(answer: Answer, part: Compared, period: Period) -> Value:
    """The one nearest to the limit, or beyond it."""
    href = period.explore(part.measured)
    numbers = [value for _, value in answer.vector() if not math.isnan(value)]
    limit = limit_text(part)
    if not numbers:
        return Value("", limit, 0, href)
    nearest = min(numbers) if part.op.startswith("<") else max(numbers)
    return Value(written(nearest, part), limit, len(numbers) - 1, href)


def _lint_findings(linted: Linted) -> list[Finding]:
    wrong = [one for one in linted.findings if one.level is LintLevel.ERROR]
    names = list(dict.fromkeys(one.rule for one in wrong if one.rule))
    if not names:
        return []
    subject = names[0] if len(names) == 1 else plural(len(names), "rule")
    verb = "does" if len(names) == 1 else "do"
    return [
        Finding(
            Level.WARN,
            subject,
            f"{verb} not mean what {'it says' if len(names) == 1 else 'they say'}",
            f"#rule-{names[0]}",
            detail=wrong[0].sentence,
        )
    ]
