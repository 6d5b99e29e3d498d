"""Label matchers, shared by PromQL, LogQL, routes, silences and inhibit rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trackside.model.labels import quoted


class MatchOp(Enum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. A regular expression is RE2 syntax and anchored at both ends."""

    name: str
    op: MatchOp
    value: str

    def __str__(self) -> str:
        return f'{self.name}{self.op.value}"{quoted(self.value)}"'
