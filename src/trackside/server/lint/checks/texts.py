"""Labels and texts of an alert: what they refer to, and what is missing for whoever is woken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Level, Problem, Subject
from trackside.server.lint.reading import replaced, result_labels
from trackside.server.promql.syntax import Aggregate
from trackside.server.promql.walk import walk

URGENCY = frozenset(("severity", "priority", "urgency"))
"""Labels that every alert should have where routes ask for them; others, such as a team, only some alerts have."""
RUNBOOK_ANNOTATIONS = ("runbook", "runbook_url")
_USED = re.compile(r"((?:\$labels|\.Labels)\.([A-Za-z_][A-Za-z0-9_]*)|index\s+(?:\$labels|\.Labels)\s+\"([^\"]+)\")")
_ACTION = re.compile(r"\{\{.*?\}\}", re.S)
_CONDITION = re.compile(r"\{\{-?\s*(else\s+)?(if|with)\b")


def unknown_label_in_text(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L12: `{{ $labels.instance }}` of a sum over all instances: an empty place in the message."""
    if subject.kind != "alert":
        return
    known = result_labels(subject.tree, facts)
    if known is None:
        return
    for annotation, text in (*subject.annotations.items(), *subject.labels.items()):
        for name in dict.fromkeys(labels_in(text)):
            if name not in known:
                has = f"has {', '.join(sorted(known))}" if known else "has no labels"
                yield Problem(
                    f"{annotation} uses $labels.{name}, and the result {has}: that place stays empty",
                    subject.tree.span,
                    _grouped_by(subject, name),
                    Level.ERROR,
                )


def not_routed(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L13: no label such as severity, by which routes choose who is told."""
    if subject.kind != "alert":
        return
    known = result_labels(subject.tree, facts)
    for name in sorted(facts.routed_labels & URGENCY - subject.labels.keys()):
        if known is not None and name not in known:
            yield Problem(
                f"routes choose by {name}, and this alert has no such label: it goes where everything else goes. "
                f"Add it under labels.",
                level=Level.INFO,
            )


def no_runbook(subject: Subject, facts: Facts) -> Iterator[Problem]:
    """L14: others have a runbook; this one leaves whoever is woken alone."""
    if subject.kind != "alert" or facts.runbooks is None or subject.name in facts.runbooks:
        return
    if not any(subject.annotations.get(name) for name in RUNBOOK_ANNOTATIONS):
        yield Problem("there is no runbook for this alert, though others have one", level=Level.INFO)


def labels_in(text: str) -> list[str]:
    """Without those that it asks for before: whoever wrote that knows that they may be missing."""
    actions = _ACTION.findall(text)
    asked_for = {found[1] or found[2] for one in actions if _CONDITION.match(one) for found in _USED.findall(one)}
    # Within them the dot is something else, such as a sample of a query with labels of its own.
    moves_dot = any(re.search(r"\b(range|with)\b", action) for action in actions)
    return [
        name
        for action in actions
        for whole, first, second in _USED.findall(action)
        if (name := first or second) and name not in asked_for and not (moves_dot and ".Labels" in whole)
    ]


def _grouped_by(subject: Subject, name: str) -> str:
    """With the label kept by the outermost aggregation."""
    for expr in walk(subject.tree):
        if isinstance(expr, Aggregate) and not expr.without:
            by = ", ".join((*expr.grouping, name))
            text = subject.expr[expr.span.start : expr.span.end]
            inner = subject.expr[expr.expr.span.start : expr.expr.span.end]
            if expr.param is None and text:
                return replaced(subject.expr, (expr.span, f"{expr.op} by ({by}) ({inner})"))
    return ""
