"""All checks on all rules of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from trackside.server.lint.checks.presence import watches_targets
from trackside.server.lint.facts import Facts, names_in
from trackside.server.lint.finding import Finding, Level, Problem, Subject
from trackside.server.lint.registry import EXPRESSION_CHECKS, Check

_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}
_IGNORED = re.compile(r"#\s*trackside:\s*ignore\s+((?:L\d+[,\s]*)+)")


def lint(subjects: Sequence[Subject], facts: Facts) -> list[Finding]:
    """What is wrong, in the order of the file; of one rule the worst first."""
    recorded = facts.recorded | {subject.name for subject in subjects if subject.kind == "record"}
    watched = facts.watches_targets or any(map(watches_targets, subjects))
    names = facts.names | names_in(subjects)
    sources = {subject.name: names_in([subject]) for subject in subjects if subject.kind == "record"}
    facts = replace(facts, names=names, recorded=recorded, sources=sources, watches_targets=watched)
    return [finding for subject in subjects for finding in _findings(subject, facts)]


def _findings(subject: Subject, facts: Facts) -> list[Finding]:
    ignored = {number for found in _IGNORED.findall(subject.expr) for number in re.findall(r"L\d+", found)}
    found = [
        _finding(check, problem, subject)
        for check in EXPRESSION_CHECKS
        if check.number not in ignored
        for problem in check.run(subject, facts)
    ]
    return sorted(_once(found), key=lambda finding: _ORDER[finding.level])


def _finding(check: Check, problem: Problem, subject: Subject) -> Finding:
    line = subject.line
    if problem.span is not None:
        line += subject.expr.count("\n", 0, problem.span.start)
    return Finding(
        check.number,
        check.title,
        problem.level,
        subject.name,
        subject.file,
        line,
        problem.sentence,
        subject.expr,
        problem.span.start if problem.span is not None else None,
        problem.span.end if problem.span is not None else None,
        "" if problem.corrected == subject.expr else problem.corrected,
    )


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """The same sentence of the same rule once, wherever else it stands in the expression."""
    return list({(each.check, each.sentence): each for each in findings}.values())
