"""Counters read as if they were amounts of now, and gauges that are called counters."""

from __future__ import annotations

from collections.abc import Iterator

from trackside.server.lint.facts import Facts, metric_name
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import Path, replaced, text_of, walk_with_path
from trackside.server.lint.words import natural_window
from trackside.server.promql.signatures import COMPARISONS
from trackside.server.promql.syntax import Aggregate, Binary, Call, Expr, MatrixSelector, VectorSelector
from trackside.server.promql.walk import walk

# Functions for which a counter is as good as anything, or which are made for one.
_FOR_COUNTERS = frozenset(
    (
        *("rate", "irate", "increase", "resets", "changes", "absent", "absent_over_time", "present_over_time"),
        *("count_over_time", "timestamp", "ts_of_last_over_time", "ts_of_first_over_time", "histogram_quantile"),
    )
)
_COUNTING = frozenset(("count", "group"))


def counter_without_rate(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L4: a counter's own value, which grows until the process ends and then begins afresh."""
    if subject.kind == "record":
        return
    for expr, path in walk_with_path(subject.tree):
        if not isinstance(expr, VectorSelector) or not facts.is_counter(metric_name(expr)):
            continue
        if _may_be_raw(path):
            continue
        name = metric_name(expr)
        doubt = "" if facts.type_of(name) else "; if it is a gauge after all, its name should not end in _total"
        yield Problem(
            f"{name} is a counter: it only grows, and is 0 again after each start{doubt}. "
            "Ask how much it grew: increase() over a time, or rate() per second.",
            expr.span,
            _grown(subject, expr, path),
            Level.ERROR,
        )


def total_of_a_gauge(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L16: a gauge whose name says that it is a counter."""
    for expr in walk(subject.tree):
        if isinstance(expr, VectorSelector) and metric_name(expr).endswith("_total"):
            name = metric_name(expr)
            if facts.type_of(name) == "gauge":
                plain = name.removesuffix("_total")
                yield Problem(
                    f"{name} is a gauge, and its name says counter: the next reader will take its rate(). "
                    f"Call it {plain}.",
                    expr.span,
                    level=Level.WARNING,
                )


def rate_of_a_gauge(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L16: `rate` of what may fall takes each fall for a start from 0."""
    for expr in walk(subject.tree):
        if not (isinstance(expr, Call) and expr.function in ("rate", "increase", "irate")):
            continue
        inner = expr.args[0]
        name = metric_name(inner.selector) if isinstance(inner, MatrixSelector) else ""
        if name and facts.type_of(name) == "gauge":
            other = "deriv" if expr.function != "increase" else "delta"
            yield Problem(
                f"{name} is a gauge: {expr.function}() takes each fall of it for a start from 0. Use {other}().",
                expr.span,
                replaced(subject.expr, (expr.span, f"{other}({text_of(inner)})")),
                Level.ERROR,
            )


def _may_be_raw(path: Path) -> bool:
    for place, outer in enumerate(path):
        if isinstance(outer, Call) and outer.function in _FOR_COUNTERS:
            return True
        if isinstance(outer, Aggregate) and outer.op in _COUNTING:
            return True
        # `… unless on (job) a_total`: only whether it is there matters.
        if isinstance(outer, Binary) and outer.op in ("and", "unless"):
            below = path[place + 1] if place + 1 < len(path) else None
            if below is None or below is outer.right:
                return True
    return False


def _grown(subject: Subject, expr: VectorSelector, path: Path) -> str:
    window = natural_window(subject.words, subject.kind)
    grown = f"increase({text_of(expr)}[{window}])"
    parent: Expr | None = path[-1] if path else None
    is_part = isinstance(parent, Aggregate) or (isinstance(parent, Binary) and parent.op not in COMPARISONS)
    return replaced(subject.expr, (expr.span, grown if is_part else f"sum({grown})"))
