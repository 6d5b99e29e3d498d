"""What is looked at and what is found: an expression with the words around it, and a sentence about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from trackside.server.promql.syntax import Expr, Span

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Level(Enum):
    ERROR = "error"
    """It does not do what it says."""
    WARNING = "warning"
    """It does so only in part, or only as long as nothing changes."""
    INFO = "info"
    """It works; something beside it is missing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A rule, or a query of a page."""

    name: str
    kind: str
    """One of "alert", "record", "query"."""
    expr: str
    tree: Expr
    text: str = ""
    """The words around it: title, annotations, comments."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_ms: int = 0
    interval_ms: int = 0
    """Between two evaluations; 0: not known."""
    file: str = ""
    line: int = 0
    """Of the expression in the file."""

    @property
    def words(self) -> str:
        """All that is said of it, in lower case; of the expression only its comments."""
        comments = " ".join(line.partition("#")[2] for line in self.expr.split("\n"))
        # `HighErrorRate` speaks of an error rate too.
        name = _WORD_START.sub(" ", self.name).replace("_", " ")
        return f"{name} {self.text} {comments}".lower()


@dataclass(frozen=True, slots=True)
class Problem:
    """What one check says of one subject."""

    sentence: str
    span: Span | None = None
    """Of the expression; None: of the rule as a whole."""
    corrected: str = ""
    """The whole expression as it should be, to be copied; "" when that is not one."""
    level: Level = Level.WARNING


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with everything needed to show it."""

    check: str
    """Such as "L4"."""
    title: str
    level: Level
    rule: str
    file: str
    line: int
    sentence: str
    expr: str = ""
    start: int | None = None
    """Offsets into `expr`: what the sentence is about, end exclusive."""
    end: int | None = None
    corrected: str = ""


def as_json(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "title": finding.title,
        "level": finding.level.value,
        "rule": finding.rule,
        "file": finding.file,
        "line": finding.line,
        "sentence": finding.sentence,
        "expr": finding.expr,
        "start": finding.start,
        "end": finding.end,
        "corrected": finding.corrected,
    }
