"""Aggregations in the wrong place, and gauges that every replica has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.lint.facts import REPLICA_LABELS, Facts, metric_name
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import SELECTING, Path, replaced, text_of, walk_with_path
from trackside.server.promql.select import unwrapped
from trackside.server.promql.syntax import Aggregate, Call, Expr, VectorSelector
from trackside.server.promql.walk import walk

_SHARES = re.compile(r".*_(rate|ratio|percent|percentage|average|avg|mean)")


def topk_by(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L6: `topk(5, …) by (endpoint)` is the top 5 within each endpoint, which is all of them."""
    for expr in walk(subject.tree):
        if not (isinstance(expr, Aggregate) and expr.op in SELECTING and expr.grouping and not expr.without):
            continue
        if any(isinstance(inner, Aggregate) for inner in walk(expr.expr)):
            continue
        param = text_of(expr.param) if expr.param is not None else "5"
        yield Problem(
            f"{expr.op} by ({', '.join(expr.grouping)}) chooses {param} series within each of them, so that all are "
            f"shown: group inside, and choose among the groups",
            expr.span,
            replaced(subject.expr, (expr.span, f"{expr.op}({param}, {_grouped(expr)})")),
            Level.ERROR,
        )


def same_gauge_of_replicas(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L15: a gauge that each replica has with the same value: an alert for each, or a sum that counts it twice."""
    for expr, path in walk_with_path(subject.tree):
        if not isinstance(expr, VectorSelector) or _among_replicas(path):
            continue
        alike = _alike(metric_name(expr), facts)
        if alike:
            adds = any(isinstance(outer, Aggregate) and outer.op == "sum" for outer in path)
            what = f"the sum counts it {alike} times" if adds else "there is one series, and one alert, for each"
            yield Problem(
                f"{alike} replicas have {metric_name(expr)} with the same value: {what}. Take max().",
                expr.span,
                _with_max(subject, expr, path),
                Level.INFO,
            )


def share_from_the_process(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L15: a share computed in the process: an average since it started, which cannot be averaged over replicas."""
    for expr, path in walk_with_path(subject.tree):
        if not isinstance(expr, VectorSelector) or not _SHARES.fullmatch(metric_name(expr)):
            continue
        name = metric_name(expr)
        # Ours are computed by the one server, over all processes.
        ours = name.startswith("trackside_") or ":" in name or name in facts.recorded
        if ours or any(isinstance(outer, Aggregate) for outer in path):
            continue
        yield Problem(
            f"{name} is a share that each process computes for itself: replicas' shares cannot be averaged, and most "
            "are averages since the start. Count both parts, and divide their rates.",
            expr.span,
            replaced(subject.expr, (expr.span, better)) if (better := _from_counters(expr)) else "",
            Level.INFO,
        )


def _grouped(expr: Aggregate) -> str:
    by = ", ".join(expr.grouping)
    inner = unwrapped(expr.expr)
    if isinstance(inner, Call) and inner.function == "histogram_quantile":
        return f"histogram_quantile({text_of(inner.args[0])}, sum by ({by}, le) ({text_of(unwrapped(inner.args[1]))}))"
    return f"sum by ({by}) ({text_of(inner)})"


def _among_replicas(path: Path) -> bool:
    """Whether something around it makes one of many already."""
    chosen = ("max", "min", "avg", "count", "group", "quantile")
    return any(
        (isinstance(outer, Aggregate) and outer.op in chosen)
        or (isinstance(outer, Call) and outer.function.startswith("absent"))
        for outer in path
    )


def _alike(name: str, facts: Facts) -> int:
    """How many series of a gauge differ by nothing but the replica and have the same value, which is not 0."""
    if facts.stored is None or facts.type_of(name) != "gauge":
        return 0
    values: dict[Labels, list[float]] = {}
    for labels in facts.series_of(name) or ():
        if labels in facts.stored.latest:
            values.setdefault(labels.without(METRIC_NAME, *REPLICA_LABELS), []).append(facts.stored.latest[labels])
    groups = [found for found in values.values() if len(found) > 1]
    if not groups or not all(len(set(found)) == 1 and found[0] not in (0, 1) for found in groups):
        return 0
    return max(len(found) for found in groups)


def _with_max(subject: Subject, expr: VectorSelector, path: Path) -> str:
    parent: Expr | None = path[-1] if path else None
    instead = parent if isinstance(parent, Aggregate) and parent.op == "sum" else expr
    return replaced(subject.expr, (instead.span, f"max({text_of(expr)})"))


def _from_counters(expr: VectorSelector) -> str:
    """`cache_hit_rate` from the counters that such a cache has."""
    found = re.fullmatch(r"(.*)_hit_(?:rate|ratio|percent|percentage)", metric_name(expr))
    if found is None:
        return ""
    inner = ",".join(str(matcher) for matcher in expr.matchers if matcher.name != METRIC_NAME)
    braces = f"{{{inner}}}" if inner else ""
    hits, misses = (f"sum(rate({found[1]}_{kind}_total{braces}[5m]))" for kind in ("hits", "misses"))
    return f"({hits} / ({hits} + {misses}))"
