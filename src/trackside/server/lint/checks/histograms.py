"""Histograms: names that have no series, quantiles of single series, and quantiles that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import MatchOp
from trackside.server.lint.facts import Facts, metric_name
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import (
    comparisons,
    is_rate,
    number_of,
    rated_selector,
    replaced,
    text_of,
    walk_with_path,
)
from trackside.server.lint.words import speak_of_time_spent
from trackside.server.promql.select import unwrapped
from trackside.server.promql.syntax import Aggregate, Call, Expr, MatrixSelector, VectorSelector
from trackside.server.promql.walk import selectors_of, walk


def bare_histogram(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L5: a histogram's name without _bucket, _sum or _count, or with the label `quantile` that summaries have."""
    for expr, path in walk_with_path(subject.tree):
        if not isinstance(expr, VectorSelector) or not facts.is_histogram(metric_name(expr)):
            continue
        name = metric_name(expr)
        asked = [matcher for matcher in expr.matchers if matcher.name == "quantile"]
        if asked:
            quantile = asked[0].value if asked[0].op is MatchOp.EQUAL else "0.95"
            why = "it is a histogram, and only summaries have the label quantile"
        else:
            quantile = "0.95"
            why = "a histogram has series only as _bucket, _sum and _count"
        others = [str(m) for m in expr.matchers if m.name not in ("quantile", METRIC_NAME)]
        selector = f"{name}_bucket{{{','.join(others)}}}" if others else f"{name}_bucket"
        alone = not any(isinstance(outer, Call | MatrixSelector) for outer in path)
        better = f"histogram_quantile({quantile}, sum by (le) (rate({selector}[5m])))"
        yield Problem(
            f"{text_of(expr)} never gives anything: {why}",
            expr.span,
            replaced(subject.expr, (expr.span, better)) if alone else "",
            Level.ERROR,
        )


def quantile_of_each_series(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L7: `histogram_quantile` without `sum by (le)`: a quantile for each series, or for none."""
    for expr, path in walk_with_path(subject.tree):
        if not (isinstance(expr, Call) and expr.function == "histogram_quantile"):
            continue
        inner = unwrapped(expr.args[1])
        if is_rate(inner) and _is_buckets(inner):
            by = ", ".join((*_grouping_around(path), "le"))
            yield Problem(
                f"a quantile of each series of {_name(inner)}, one for each label set and instance, is not that of "
                "the service: add up the buckets first",
                expr.span,
                replaced(subject.expr, (expr.args[1].span, f"sum by ({by}) ({text_of(inner)})")),
                Level.ERROR if subject.kind == "alert" else Level.WARNING,
            )
        elif isinstance(inner, Aggregate) and _is_buckets(inner.expr) and _loses_le(inner):
            by = ", ".join((*inner.grouping, "le")) if not inner.without else "le"
            yield Problem(
                f"{text_of(inner)} has no label le any more, so there is no quantile to be found",
                inner.span,
                replaced(subject.expr, (inner.span, f"{inner.op} by ({by}) ({text_of(inner.expr)})")),
                Level.ERROR,
            )


def limit_between_buckets(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L7: a limit where no bucket ends: the quantile is a straight line through the gap."""
    for compared, vector, limit in comparisons(subject.tree):
        call = unwrapped(vector)
        if not (isinstance(call, Call) and call.function == "histogram_quantile"):
            continue
        name = _name(call.args[1])
        for below, above in pairwise(facts.buckets(name)):
            if below < limit < above:
                family, quantile = name.removesuffix("_bucket"), number_of(call.args[0])
                rest = f"{1 - quantile:.4g}" if quantile is not None else "0.05"
                share = f'sum(rate({name}{{le="{limit:g}"}}[5m])) / sum(rate({family}_count[5m]))'
                yield Problem(
                    f"the buckets of {family} end at {below:g} and {above:g} with nothing between: whether the "
                    f"quantile is above {limit:g} is made up. Add a bucket at {limit:g}, and ask how many exceed it.",
                    compared.span,
                    replaced(subject.expr, (compared.span, f"1 - {share} > {rest}")),
                    Level.ERROR,
                )


def ranked_by_calls(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L6: the most frequent where the text asks for what takes the most time."""
    if not speak_of_time_spent(subject.words):
        return
    for expr in walk(subject.tree):
        if not (isinstance(expr, Aggregate) and expr.op in ("topk", "bottomk")):
            continue
        for inner in walk(expr.expr):
            selector = rated_selector(inner) if isinstance(inner, Call) else None
            if selector is None or not metric_name(selector).endswith("_seconds_count"):
                continue
            name = metric_name(selector)
            other = text_of(selector).replace(name, name.removesuffix("_count") + "_sum")
            yield Problem(
                f"{name} ranks by how often, not by the time it takes: rank by the seconds spent, _sum",
                selector.span,
                replaced(subject.expr, (selector.span, other)),
            )


def _is_buckets(expr: Expr) -> bool:
    return _name(expr).endswith("_bucket")


def _name(expr: Expr) -> str:
    return next(map(metric_name, selectors_of(expr)), "")


def _loses_le(expr: Aggregate) -> bool:
    return ("le" in expr.grouping) if expr.without else ("le" not in expr.grouping)


def _grouping_around(path: tuple[Expr, ...]) -> tuple[str, ...]:
    """What an aggregation around it groups by: the labels that somebody wants to see."""
    for outer in reversed(path):
        if isinstance(outer, Aggregate) and not outer.without:
            return outer.grouping
    return ()
