"""Shares that are none: rates against percentages, divisions that give 100 % or nothing, and divisions by zero."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.lint.facts import ZERO_WITHOUT_LIMIT, Facts, metric_name
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import (
    comparisons,
    is_rate,
    is_scalar,
    matched_by_all_labels,
    rated_selector,
    replaced,
    result_labels,
    summed,
    text_of,
    walk_with_path,
    window_of,
    without_matcher,
)
from trackside.server.lint.words import (
    speak_of_amount,
    speak_of_percent,
    speak_of_share,
    speak_per_second,
)
from trackside.server.promql.select import unwrapped
from trackside.server.promql.signatures import COMPARISONS, SET_OPERATORS
from trackside.server.promql.syntax import Aggregate, Binary, Call, Expr, VectorSelector
from trackside.server.promql.walk import selectors_of, walk

_STATUS = re.compile(r"(http_)?(response_)?(status|code|status_code|outcome|result|grpc_code)")
_BAD = re.compile(r"_(failed|failures?|errors?|errored|dropped|rejected|timeouts?)(?=_|$)")
_WHOLES = ("received", "processed", "requests", "attempts", "")


def rate_for_share(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L1: `rate(errors[5m]) > 0.05` where the text says 5 %."""
    for compared, vector, limit in comparisons(subject.tree):
        rate = summed(vector) or vector
        selector = rated_selector(rate)
        # Seconds per second are a share: of the time that a processor or a disk was busy.
        if selector is None or compared.op not in (">", ">=") or "_seconds_" in metric_name(selector):
            continue
        is_small = 0 < limit < 1
        if not (speak_of_percent(subject.words) or (is_small and speak_of_share(subject.words))):
            continue
        whole = whole_of(selector, facts)
        part = f"sum({text_of(unwrapped(rate))})"
        share = f"{part} / sum(rate({whole}{window_of(rate)}))" if whole else ""
        fraction = limit / 100 if limit >= 1 else limit
        yield Problem(
            f"{text_of(vector)} is a number per second{'' if summed(vector) else ' of each series'}, and is compared "
            f"with {limit:g} as if it were a share: it fires at {limit:g} a second whatever the traffic. "
            "Divide by the rate of all of them.",
            compared.span,
            replaced(subject.expr, (compared.span, f"{share} {compared.op} {fraction:g}")) if share else "",
            Level.ERROR,
        )


def rate_for_amount(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L1: `rate(tokens[1h]) * price` called a cost: it is a cost per second."""
    if not speak_of_amount(subject.words):
        return
    for expr, path in walk_with_path(subject.tree):
        if not (isinstance(expr, Call) and expr.function in ("rate", "irate")):
            continue
        times_price = any(isinstance(each, Binary) and each.op == "*" for each in path)
        if times_price:
            yield Problem(
                f"{text_of(expr)} is per second, so this is an amount per second, not an amount: "
                "use increase() over the time that the bill is for",
                expr.span,
                replaced(subject.expr, (expr.span, f"increase({text_of(_selected(expr))}[30d])")),
                Level.ERROR,
            )


def rate_of_each_series(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L1: a panel with the requests per second of the service that shows one line for each label set."""
    if subject.kind == "query" and is_rate(subject.tree) and speak_per_second(subject.words):
        text = text_of(unwrapped(subject.tree))
        count = len(facts.series_of(metric_name(_selected(unwrapped(subject.tree)))) or ())
        lines = f"{count} lines" if count > 1 else "one line"
        yield Problem(
            f"this gives {lines}{'' if count > 1 else ' for each label set and instance'}; "
            "the number of the whole service is the sum",
            subject.tree.span,
            f"sum({text})",
        )


def same_metric_divided(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L2: `rate(a{code="500"}[5m]) / rate(a[5m])` divides each series by itself."""
    for expr in walk(subject.tree):
        if not (isinstance(expr, Binary) and expr.op == "/" and matched_by_all_labels(expr)):
            continue
        left, right = rated_selector(expr.left), rated_selector(expr.right)
        if left is None or right is None or metric_name(left) != metric_name(right):
            continue
        yield Problem(
            f"each series of {metric_name(left)} is divided by itself, since the two sides are matched by all their "
            "labels: the result is always 1, or nothing. Add up both sides first.",
            expr.span,
            _both_summed(subject, expr),
            Level.ERROR,
        )


def labels_never_match(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L3: two sides without a label set in common, so that nothing is ever found."""
    for expr in walk(subject.tree):
        if not isinstance(expr, Binary) or expr.op in SET_OPERATORS or not matched_by_all_labels(expr):
            continue
        left, right = result_labels(expr.left, facts), result_labels(expr.right, facts)
        if left is not None and right is not None:
            if left != right and not _ever_equal(expr, facts):
                yield _mismatch(subject, expr, left, right)
        elif is_rate(expr.left) and is_rate(expr.right) and _names(expr.left) != _names(expr.right):
            yield Problem(
                f"{text_of(expr.left)} and {text_of(expr.right)} are matched by all their labels: a label that only "
                "one of them has, or one more value, and the result is empty. Add up both sides first.",
                expr.span,
                _both_summed(subject, expr),
                # Nobody knows without the series; an exporter that counts both per device is right.
                Level.INFO,
            )


def divided_by_zero(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L10: a divisor that is 0 where there is no limit, which makes +Inf of any share."""
    for expr in walk(subject.tree):
        if not (isinstance(expr, Binary) and expr.op == "/"):
            continue
        divisor = unwrapped(expr.right)
        if not isinstance(divisor, VectorSelector):
            continue
        name = metric_name(divisor)
        zeros = [labels for labels in facts.series_of(name) or () if _latest(labels, facts) == 0]
        if zeros or name in ZERO_WITHOUT_LIMIT:
            seen = f"{zeros[0]} is 0 now" if zeros else "which is 0 where no limit is set"
            yield Problem(
                f"divides by {name}, {seen}: the result is then +Inf, and above any limit for ever",
                expr.right.span,
                replaced(subject.expr, (expr.right.span, f"({text_of(divisor)} > 0)")),
            )


def whole_of(selector: VectorSelector, facts: Facts) -> str:
    """The selector of all events of which `selector` has some: without the label that chooses them, or another
    counter; "" when there is none to be found."""
    statuses = [matcher.name for matcher in selector.matchers if _STATUS.fullmatch(matcher.name)]
    if statuses:
        return without_matcher(selector, statuses[0])
    name = metric_name(selector)
    if not _BAD.search(name):
        return ""
    known = facts.names | (facts.stored.series.keys() if facts.stored is not None else frozenset())
    guesses = [_BAD.sub(f"_{word}" if word else "", name) for word in _WHOLES]
    return next((guess for guess in guesses if guess in known and guess != name), guesses[0])


def _ever_equal(expr: Binary, facts: Facts) -> bool:
    """Whether series of both sides may have the same labels after all: not all series have all labels."""
    sides = []
    for side in (expr.left, expr.right):
        selectors = selectors_of(side)
        aggregated = any(isinstance(each, Aggregate) for each in walk(side))
        series = facts.series_of(metric_name(selectors[0])) if len(selectors) == 1 and not aggregated else None
        if series is None:
            return False
        sides.append({labels.without(METRIC_NAME) for labels in series})
    return bool(sides[0] & sides[1])


def _mismatch(subject: Subject, expr: Binary, left: frozenset[str], right: frozenset[str]) -> Problem:
    only = []
    for text, names in ((text_of(expr.left), left - right), (text_of(expr.right), right - left)):
        if names:
            only.append(f"{text} has {', '.join(sorted(names))}")
    return Problem(
        f"nothing ever matches: {'; '.join(only)}, which the other side has not. Add up both sides by what they share.",
        expr.span,
        _shared_sums(subject, expr, left & right),
        Level.ERROR,
    )


def _shared_sums(subject: Subject, expr: Binary, shared: frozenset[str]) -> str:
    if expr.op not in COMPARISONS:
        return _both_summed(subject, expr)
    by = "instance" if "instance" in shared else ", ".join(sorted(shared))
    grouped = f" by ({by})" if by else ""
    right, factor = _without_factor(expr.right)
    return replaced(
        subject.expr,
        (expr.left.span, f"sum{grouped} ({text_of(expr.left)})"),
        (expr.op_span, f"{expr.op} on ({by})"),
        (expr.right.span, f"max{grouped} ({text_of(right)}){factor}"),
    )


def _without_factor(expr: Expr) -> tuple[Expr, str]:
    """`a * 0.9` as `a` and " * 0.9"."""
    if isinstance(expr, Binary) and expr.op in ("*", "/") and is_scalar(expr.right):
        return expr.left, f" {expr.op} {text_of(expr.right)}"
    return expr, ""


def _both_summed(subject: Subject, expr: Binary) -> str:
    return replaced(
        subject.expr,
        (expr.left.span, f"sum({text_of(unwrapped(expr.left))})"),
        (expr.right.span, f"sum({text_of(unwrapped(expr.right))})"),
    )


def _names(expr: Expr) -> set[str]:
    return set(map(metric_name, selectors_of(expr)))


def _selected(expr: Expr) -> VectorSelector:
    return selectors_of(expr)[0]


def _latest(labels: Labels, facts: Facts) -> float | None:
    return facts.stored.latest.get(labels) if facts.stored is not None else None
