"""Rules as the linter looks at them: where they stand, and what is said around them."""

import pytest

from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.server.jobs import shipped as jobs
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Level, Subject
from trackside.server.lint.linter import lint
from trackside.server.lint.subjects import running_subjects, subjects_of
from trackside.server.probes import shipped as probes
from trackside.server.promql.parser import parse
from trackside.server.rules.config import parse_rule_file
from trackside.server.yamlfile import parse_yaml

TEXT = """groups:
- name: g
  rules:
  - record: a
    expr: sum(b)
  - alert: Failing
    for: 5m
    expr: |
      sum(a)
        / sum(errors_total)
    labels: {severity: page}
    annotations: {summary: "above 5 %"}
"""


def test_lines_and_words_of_a_file():
    first, second = subjects_of(parse_rule_file(TEXT, "r.yml"), parse_yaml(TEXT, "r.yml"))
    assert (first.kind, first.line, second.kind, second.line) == ("record", 5, "alert", 9)
    assert (second.labels, second.for_ms, second.text) == ({"severity": "page"}, 300_000, "above 5 %")
    (finding,) = lint([first, second], Facts())
    assert (finding.check, finding.file, finding.line, finding.rule) == ("L4", "r.yml", 10, "Failing")
    assert finding.expr[finding.start : finding.end] == "errors_total"


def test_comments_in_an_expression_are_words_too():
    expr = "a > 1 # more than 5 % FAIL"
    assert "more than 5 % fail" in Subject("x", "query", expr, parse(expr)).words
    assert Subject("S001_HighErrorRate", "query", "a", parse("a")).words.startswith("s001 high error rate ")


def test_running_rules():
    rule = RuleStatus("Failing", "alerting", "sum(errors_total) > 5", Labels.of(a="b"), Labels.of(s="text"), 60_000)
    (subject,) = running_subjects([RuleGroupStatus("g", "r.yml", 15_000, (rule,))])
    assert (subject.kind, subject.text, subject.interval_ms, subject.file) == ("alert", "text", 15_000, "r.yml")


@pytest.mark.parametrize("shipped", [jobs, probes], ids=["jobs", "probes"])
def test_the_rules_we_ship_mean_what_they_say(shipped):
    found = lint(subjects_of(parse_rule_file(shipped.rules_text(), shipped.RULES_FILE)), Facts())
    assert [each for each in found if each.level is not Level.INFO] == []
