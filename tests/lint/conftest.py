"""Subjects from an expression and the words around it, and what is stored from lines."""

import pytest

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.lint.facts import Facts, Stored
from trackside.server.lint.finding import Subject
from trackside.server.lint.gathering import inferred_types
from trackside.server.lint.linter import lint
from trackside.server.promql.parser import parse
from trackside.server.rules.unit_tests.notation import parse_metric


@pytest.fixture
def alert():
    def make(expr: str, text: str = "", name: str = "A", **more) -> Subject:
        annotations = {"summary": text} if text else {}
        labels = more.pop("labels", {})
        return Subject(
            name, "alert", expr, parse(expr), text, labels, annotations | more.pop("annotations", {}), **more
        )

    return make


@pytest.fixture
def query():
    return lambda expr, name="": Subject(name, "query", expr, parse(expr))


@pytest.fixture
def stored():
    """From lines such as `up{job="a"} 1`; without a value: 1. Types as far as they are not inferred."""

    def make(*lines: str, names: tuple[str, ...] = (), **types: str) -> Stored:
        latest = {}
        for line in lines:
            metric, _, value = line.partition("} ") if "} " in line else line.partition(" ")
            metric = metric + "}" if "} " in line else metric
            latest[parse_metric(metric)] = float(value or 1)
        series: dict[str, tuple[Labels, ...]] = dict.fromkeys(names, ())
        for labels in latest:
            name = labels.get(METRIC_NAME)
            series[name] = (*series.get(name, ()), labels)
        return Stored(
            series, inferred_types(series) | types, latest, frozenset(name for name in series if series[name])
        )

    return make


@pytest.fixture
def check():
    """Findings as (check, corrected) of one or more subjects."""

    def run(*subjects: Subject, stored: Stored | None = None, **facts) -> list[tuple[str, str]]:
        return [(each.check, each.corrected) for each in lint(subjects, Facts(stored, **facts))]

    return run
