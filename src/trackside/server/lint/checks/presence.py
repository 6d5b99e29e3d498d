"""What was never seen, and what is silent when it goes missing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.lint.checks.texts import labels_in
from trackside.server.lint.facts import REPLICA_LABELS, Facts, metric_name
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import comparisons, replaced, text_of, walk_with_path
from trackside.server.promql.select import unwrapped
from trackside.server.promql.syntax import Aggregate, Binary, Call, Expr, VectorSelector
from trackside.server.promql.walk import rebuilt, selectors_of, walk
from trackside.server.regex import predicate
from trackside.server.rules import no_data

MOST_SHOWN = 6
MOST_VALUES = 50
"""A label with more values is not enumerated: one more of them is no surprise."""
_OWN = ("ALERTS", "ALERTS_FOR_STATE")
# Written by the scrape itself, whatever becomes of the target, or by the server that also evaluates the rule.
_ALWAYS_THERE = re.compile(r"up|scrape_.*|probe_.*|trackside_.*")
_MOMENT = re.compile(r".*_timestamp(_seconds|_ms)?")
# Values of these come and go with what happens: a 5xx that never was is good news.
_OUTCOMES = re.compile(r"[0-9.x^$|\[\]()+*?-]+|.*(fail|err|timeout|denied|refus|drop).*", re.I)


def never_seen(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L8: a metric, a label or a value that no series has."""
    if facts.stored is None:
        return
    for expr, path in walk_with_path(subject.tree):
        if not isinstance(expr, VectorSelector) or not metric_name(expr):
            continue
        name = metric_name(expr)
        if name in _OWN or name in facts.recorded or facts.is_histogram(name):
            continue
        asks_for_absence = any(isinstance(outer, Call) and outer.function.startswith("absent") for outer in path)
        series = facts.series_of(name)
        if series:
            yield from _matchers(subject, expr, facts)
        elif series is not None and not asks_for_absence:
            yield _unknown_metric(subject, expr, facts)


def silent_when_gone(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L9: `connections == 0`, which has no series to compare when the process that has them is down."""
    if subject.kind != "alert" or subject.annotations.get(no_data.ANNOTATION) in ("keep", "alert"):
        return
    asked = {metric_name(each) for call in _absences(subject.tree) for each in selectors_of(call)}
    for compared, vector, limit in comparisons(_main_condition(subject.tree)):
        low = compared.op in ("<", "<=") or (compared.op == "==" and limit == 0)
        selector = _bare(vector)
        if not low or compared.returns_bool or selector is None:
            continue
        name = metric_name(selector)
        if not name or name in asked or _always_there(name, facts) or facts.is_counter(name):
            continue
        is_moment = _MOMENT.fullmatch(name) is not None
        if is_moment and limit == 0 and facts.watches_targets:
            # That something never happened is said by a process that is there; whether it is, by another alert.
            continue
        text = text_of(selector)
        is_whole = isinstance(unwrapped(vector), VectorSelector) and not _has_entities(subject, selector, facts)
        left = f"sum({text})" if limit == 0 and is_whole and not is_moment else text_of(vector)
        better = f"{left} {compared.op} {limit:g} or absent({text})"
        yield Problem(
            f"when whoever has {name} is gone there is no series, and so no alert, in the worst case of all; "
            "ask for its absence too",
            compared.span,
            replaced(subject.expr, (compared.span, better if compared.span == subject.tree.span else f"({better})")),
            _silence_level(limit, facts),
        )


def _always_there(name: str, facts: Facts, depth: int = 5) -> bool:
    """Also of what a rule records of nothing but such."""
    sources = facts.sources.get(name)
    if sources and depth:
        return all(_always_there(source, facts, depth - 1) for source in sources)
    return bool(_ALWAYS_THERE.fullmatch(name))


def _main_condition(expr: Expr) -> Expr:
    """Without what only narrows it: in `free < 10 and on (disk) readonly == 0` the free space is what is watched."""

    def narrowed(each: Expr) -> Expr | None:
        return rebuilt(each.left, narrowed) if isinstance(each, Binary) and each.op in ("and", "unless") else None

    return rebuilt(expr, narrowed)


def _has_entities(subject: Subject, selector: VectorSelector, facts: Facts) -> bool:
    """Whether there is a series for each of several things, none of which stands for the others."""
    names = facts.label_names(metric_name(selector))
    if names is None:
        if len(selector.matchers) > 1:
            return True
        # What the message names one of.
        names = frozenset(label for text in subject.annotations.values() for label in labels_in(text))
    return bool(names - {"job", *REPLICA_LABELS})


def watches_targets(subject: Subject) -> bool:
    """Whether this alert is about a target that is down: `up == 0`, `absent(up)`."""
    return subject.kind == "alert" and any(metric_name(each) == "up" for each in selectors_of(subject.tree))


def _silence_level(limit: float, facts: Facts) -> Level:
    if facts.watches_targets:
        return Level.INFO
    return Level.ERROR if limit == 0 else Level.WARNING


def _absences(expr: Expr) -> list[Expr]:
    return [each for each in walk(expr) if isinstance(each, Call) and each.function.startswith("absent")]


def _bare(vector: Expr) -> VectorSelector | None:
    """The gauge that is compared, as it is or added up."""
    inner = unwrapped(vector)
    if isinstance(inner, Aggregate) and inner.op in ("sum", "avg", "min", "max"):
        inner = unwrapped(inner.expr)
    return inner if isinstance(inner, VectorSelector) else None


def _unknown_metric(subject: Subject, expr: VectorSelector, facts: Facts) -> Problem:
    assert facts.stored is not None
    name = metric_name(expr)
    near = difflib.get_close_matches(name, facts.stored.names, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else "is the page that has it scraped?"
    corrected = ""
    if near:
        start = expr.span.start
        text = subject.expr[start : expr.span.end].replace(name, near[0], 1)
        corrected = replaced(subject.expr, (expr.span, text))
    return Problem(
        f"{name} was never seen in the last {facts.stored.looked_back}, so this is always empty: {hint}",
        expr.span,
        corrected,
        Level.ERROR,
    )


def _matchers(subject: Subject, expr: VectorSelector, facts: Facts) -> Iterator[Problem]:
    name = metric_name(expr)
    series = facts.series_of(name) or ()
    known = {label for labels in series for label, _ in labels}
    for matcher in expr.matchers:
        if matcher.name == METRIC_NAME or predicate(matcher)(""):
            continue
        if matcher.name not in known:
            labels = ", ".join(sorted(known - {METRIC_NAME})) or "none"
            yield Problem(
                f"no series of {name} has the label {matcher.name}; its labels are {labels}",
                expr.span,
                level=Level.ERROR,
            )
            continue
        values = sorted({labels.get(matcher.name) for labels in series} - {""})
        if len(values) <= MOST_VALUES and not _outcome(matcher) and not _seen(matcher, values):
            yield _unknown_value(subject, expr, matcher, values)


def _unknown_value(subject: Subject, expr: VectorSelector, matcher: Matcher, values: list[str]) -> Problem:
    shown = ", ".join(values[:MOST_SHOWN]) + (", …" if len(values) > MOST_SHOWN else "")
    near = difflib.get_close_matches(matcher.value, values, n=1, cutoff=0.6) if matcher.op is MatchOp.EQUAL else []
    text = subject.expr[expr.span.start : expr.span.end].replace(matcher.value, near[0]) if near else ""
    return Problem(
        f"no series of {metric_name(expr)} has {matcher}; seen are {shown}",
        expr.span,
        replaced(subject.expr, (expr.span, text)) if text else "",
    )


def _seen(matcher: Matcher, values: list[str]) -> bool:
    if matcher.op is MatchOp.EQUAL and matcher.name == "le":
        return any(_same_number(matcher.value, value) for value in values)
    return any(map(predicate(matcher), values))


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _outcome(matcher: Matcher) -> bool:
    return matcher.name != "le" and bool(_OUTCOMES.fullmatch(matcher.value))
