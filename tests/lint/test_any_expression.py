"""Whatever people write, the linter has something sensible to say or nothing, and what it gives to copy is PromQL."""

import random
import re
from pathlib import Path

import pytest

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.lint.facts import Facts, Stored
from trackside.server.lint.finding import Subject
from trackside.server.lint.linter import lint
from trackside.server.promql.parser import parse

TESTDATA = Path(__file__).parents[1] / "promql" / "testdata"
TEXTS = ("", "error rate above 5 % of {{ $labels.instance }}", "cost per user", "slow requests per second")
LABELS = ("job", "instance", "le", "quantile", "status", "path")


def _expressions() -> list[str]:
    found = []
    for file in ("written_by_teams.promql", "canonical.txt"):
        found += [line for line in (TESTDATA / file).read_text().splitlines() if line and not line.startswith("#")]
    for script in TESTDATA.glob("*.test"):
        found += re.findall(r"^eval instant at \S+ (.+)$", script.read_text(), re.M)
    return found


def _parsed() -> list[Subject]:
    subjects = []
    for number, expr in enumerate(_expressions()):
        try:
            tree = parse(expr)
        except QueryError:
            continue
        kind, text = ("alert", "query", "record")[number % 3], TEXTS[number % len(TEXTS)]
        subjects.append(Subject(f"Rule{number}", kind, expr, tree, text, annotations={"summary": text}, for_ms=1_000))
    return subjects


def _stored(subjects: list[Subject], seed: int) -> Stored:
    """Some of the metrics, with some labels and values."""
    chance = random.Random(seed)
    names = {name for subject in subjects for name in re.findall(r"[a-z_:]+", subject.expr)}
    series: dict[str, tuple[Labels, ...]] = {}
    for name in sorted(names):
        labels = [
            Labels.of(
                {label: chance.choice(("a", "1", "0.5", "500")) for label in LABELS if chance.random() < 0.4},
                __name__=name,
            )
            for _ in range(chance.randrange(4))
        ]
        series[name] = tuple(labels)
    types = {name: chance.choice(("counter", "gauge", "histogram", "")) for name in series}
    latest = {one: chance.choice((0.0, 1.0, 7.0)) for found in series.values() for one in found}
    return Stored(series, types, latest, frozenset(name for name in series if series[name]))


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_every_correction_is_an_expression(seed):
    subjects = _parsed()
    assert len(subjects) > 300
    stored = None if seed is None else _stored(subjects, seed)
    facts = Facts(stored, routed_labels=frozenset(("severity",)), runbooks=frozenset(("Rule1",)))
    findings = lint(subjects, facts)
    assert findings
    for finding in findings:
        assert finding.sentence
        if finding.corrected:
            parse(finding.corrected)
        if finding.start is not None:
            assert 0 <= finding.start < finding.end <= len(finding.expr)
