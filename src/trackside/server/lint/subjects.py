"""Rules and queries as the linter looks at them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

from trackside.model.rules import RuleGroupStatus
from trackside.server.lint.finding import Subject
from trackside.server.promql.parser import parse
from trackside.server.rules.config import RecordingRule, Rule, RuleGroupConfig
from trackside.server.yamlfile import YamlDocument

# Some 0.4 ms for an expression, and pages look at all the running rules again and again.
_tree = lru_cache(maxsize=1024)(parse)


def subjects_of(
    groups: Iterable[RuleGroupConfig], document: YamlDocument | None = None, interval_ms: int = 0
) -> list[Subject]:
    """The rules of a file that was read already; `document` gives their lines.

    `interval_ms`: of groups that name none; 0: not known.
    """
    found: list[Subject] = []
    for group_place, group in enumerate(groups):
        for place, rule in enumerate(group.rules):
            line = 0 if document is None else _expr_line(document, group_place, place)
            found.append(_subject(rule, group.file, line, group.interval_ms or interval_ms))
    return found


def _subject(rule: Rule, file: str, line: int, interval_ms: int) -> Subject:
    tree, labels = _tree(rule.expr), dict(rule.labels)
    if isinstance(rule, RecordingRule):
        return Subject(
            rule.name, "record", rule.expr, tree, labels=labels, interval_ms=interval_ms, file=file, line=line
        )
    annotations = dict(rule.annotations)
    return Subject(
        rule.name,
        "alert",
        rule.expr,
        tree,
        " ".join(annotations.values()),
        labels,
        annotations,
        rule.for_ms,
        interval_ms,
        file,
        line,
    )


def running_subjects(groups: Iterable[RuleGroupStatus]) -> list[Subject]:
    """The rules that a server evaluates."""
    return [
        Subject(
            rule.name,
            "alert" if rule.kind == "alerting" else "record",
            rule.query,
            _tree(rule.query),
            " ".join(text for _, text in rule.annotations),
            rule.labels.as_dict(),
            rule.annotations.as_dict(),
            rule.for_ms,
            group.interval_ms,
            group.file,
        )
        for group in groups
        for rule in group.rules
    ]


def _expr_line(document: YamlDocument, group: int, rule: int) -> int:
    # A block (`expr: |`) begins on the line after its key.
    text = document.marked["groups"][group]["rules"][rule]["expr"]
    in_block = isinstance(text, LiteralScalarString | FoldedScalarString)
    return document.line(("groups", group, "rules", rule, "expr")) + int(in_block)
