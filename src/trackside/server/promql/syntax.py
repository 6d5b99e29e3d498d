"""The syntax tree of PromQL. Every node knows where in the text it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trackside.model.matchers import Matcher


class ValueType(Enum):
    """Type of an expression, named as Prometheus' error messages do."""

    SCALAR = "scalar"
    STRING = "string"
    VECTOR = "instant vector"
    MATRIX = "range vector"


@dataclass(frozen=True, slots=True)
class Span:
    """Character offsets into the query, end exclusive."""

    start: int
    end: int


class AtEdge(Enum):
    """`@ start()` and `@ end()`: the first and the last step of the query."""

    START = "start"
    END = "end"


At = int | AtEdge
"""The time of an `@` modifier: milliseconds, or an edge of the query."""


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    value: float
    span: Span
    is_duration: bool = False
    """Written as `5m`: a number of seconds."""


@dataclass(frozen=True, slots=True)
class StringLiteral:
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class VectorSelector:
    name: str | None
    """The metric name as written before the braces (or quoted inside them); also among `matchers`."""
    matchers: tuple[Matcher, ...]
    """All of them, `__name__` included."""
    span: Span
    offset_ms: int = 0
    at: At | None = None


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    selector: VectorSelector
    range_ms: int
    span: Span


@dataclass(frozen=True, slots=True)
class Subquery:
    expr: Expr
    range_ms: int
    step_ms: int | None
    """None: the server's default."""
    span: Span
    offset_ms: int = 0
    at: At | None = None


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Aggregate:
    op: str
    """Such as `sum`, `topk`, `quantile`."""
    expr: Expr
    span: Span
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False


class Card(Enum):
    """How many series of each side of a binary operator belong to one another."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class VectorMatching:
    card: Card = Card.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    on: bool = False
    """True: match on `labels` only; False: on all but them."""
    include: tuple[str, ...] = ()
    """Labels to carry over from the one-side (`group_left(…)`)."""


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    """As written: "+", "==", "and", …"""
    left: Expr
    right: Expr
    span: Span
    op_span: Span
    returns_bool: bool = False
    matching: VectorMatching | None = None
    """None unless both sides are vectors."""


@dataclass(frozen=True, slots=True)
class Unary:
    op: str
    expr: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Paren:
    expr: Expr
    span: Span


Expr = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | Subquery
    | Call
    | Aggregate
    | Binary
    | Unary
    | Paren
)
