"""Ranges that are too short for the samples there are, and waits that are shorter than two evaluations."""

from __future__ import annotations

from collections.abc import Iterator

from trackside.model.durations import format_duration
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import RATES, replaced, text_of
from trackside.server.promql.syntax import Call, MatrixSelector
from trackside.server.promql.walk import walk

LEAST_SAMPLES = 4
"""In a range: a scrape that fails must not empty it, and rate() needs two."""


def short_range(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L11: `rate(a[30s])` with a sample each 15 s."""
    least_ms = LEAST_SAMPLES * facts.scrape_interval_ms
    for expr in walk(subject.tree):
        if not (isinstance(expr, Call) and expr.function in RATES and isinstance(expr.args[0], MatrixSelector)):
            continue
        matrix = expr.args[0]
        if matrix.range_ms < least_ms:
            text = text_of(matrix)
            longer = text.replace(f"[{format_duration(matrix.range_ms)}]", f"[{format_duration(least_ms)}]")
            yield Problem(
                f"[{format_duration(matrix.range_ms)}] holds at most {matrix.range_ms // facts.scrape_interval_ms} "
                f"samples, {format_duration(facts.scrape_interval_ms)} apart: one scrape that is late, and there is "
                f"no rate. Take at least [{format_duration(least_ms)}].",
                matrix.span,
                replaced(subject.expr, (matrix.span, longer)),
            )


def short_wait(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L11: a `for` that ends with the very next evaluation. One that is longer by a little waits for the one after."""
    if subject.kind == "alert" and 0 < subject.for_ms <= subject.interval_ms:
        yield Problem(
            f"for: {format_duration(subject.for_ms)} is over at the next evaluation, "
            f"{format_duration(subject.interval_ms)} later: it does not tell a moment from a state",
            level=Level.INFO,
        )
