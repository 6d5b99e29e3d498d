"""The one number that a rule is held against, and what the rule would say with another in its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from trackside.exceptions import QueryError
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import Binary, Expr, Paren, Span
from trackside.server.rules.config import AlertingRule, RuleGroupConfig
from trackside.server.web.figures import exact
from trackside.server.web.forms import ParameterError
from trackside.server.web.pages.alerts.expression import COMPARISONS, number_of

# What is equal to a number is in a state; there is no more or less of it to try.
ORDERINGS = COMPARISONS - {"==", "!="}


@dataclass(frozen=True, slots=True)
class Threshold:
    op: str
    """As if the number stood on the right."""
    value: float
    span: Span
    """Of the number in the expression."""

    @property
    def text(self) -> str:
        return exact(self.value)

    def replaced(self, expr: str, value: float) -> str:
        return expr[: self.span.start] + exact(value) + expr[self.span.end :]


@lru_cache(maxsize=1_024)
def threshold_of(expr: str) -> Threshold | None:
    """None where nothing, or more than one thing, is compared with a number.

    What is compared within a function, an aggregation or a calculation is part of what is measured.
    """
    try:
        found = list(_thresholds(parse(expr)))
    except QueryError:
        return None
    return found[0] if len(found) == 1 else None


def limit_of(text: str) -> float | None:
    """A number that somebody has typed; None: the rule's own.

    Raises:
        ParameterError: it is no finite number.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ParameterError("limit", "expected a number such as 0.05") from error
    if not math.isfinite(value):
        raise ParameterError("limit", "expected a finite number")
    return value


def with_limit(group: RuleGroupConfig, place: int, limit: float) -> RuleGroupConfig:
    """The group with another threshold in its rule at that place; as it is where that has none."""
    rule = group.rules[place]
    threshold = threshold_of(rule.expr)
    if threshold is None:
        return group
    changed = replace(rule, expr=threshold.replaced(rule.expr, limit))
    return replace(group, rules=(*group.rules[:place], changed, *group.rules[place + 1 :]))


def place_of(rules: Sequence[object], name: str, nth: int) -> int | None:
    """Of the nth alerting rule of that name: pairs of a warning and a critical one often share theirs."""
    places = [i for i, rule in enumerate(rules) if isinstance(rule, AlertingRule) and rule.name == name]
    return places[nth] if 0 <= nth < len(places) else None


def _thresholds(tree: Expr) -> Iterator[Threshold]:
    match tree:
        case Paren(expr=inner):
            yield from _thresholds(inner)
        case Binary(op=op, left=left, right=right) if op in ("and", "or", "unless") or op in COMPARISONS:
            yield from _thresholds(left)
            yield from _thresholds(right)
            if op in ORDERINGS:
                yield from _threshold(op, left, right)


def _threshold(op: str, left: Expr, right: Expr) -> Iterator[Threshold]:
    numbers = number_of(left), number_of(right)
    match numbers:
        case (None, float(value)) if math.isfinite(value):
            yield Threshold(op, value, right.span)
        case (float(value), None) if math.isfinite(value):
            yield Threshold(op.translate(str.maketrans("<>", "><")), value, left.span)
