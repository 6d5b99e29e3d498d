"""The syntax tree of a template. Offsets point into the text, for errors with a line and a column."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string, boolean or nil written in the template."""

    value: object
    offset: int


@dataclass(frozen=True, slots=True)
class Dot:
    offset: int


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    """With its dollar sign; "$" is the data the template was called with."""
    fields: tuple[str, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Field:
    """A chain of fields of dot: `.Labels.job`."""

    fields: tuple[str, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of fields of a parenthesised pipeline: `(index .Alerts 0).Labels`."""

    operand: Pipeline
    fields: tuple[str, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    offset: int


Operand = Literal | Dot | Variable | Field | Chain | Function


@dataclass(frozen=True, slots=True)
class Command:
    """A function or method and its arguments, or a value alone."""

    operands: tuple[Operand, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    offset: int
    variables: tuple[str, ...] = ()
    """What is set to the result; two only in a range."""
    declares: bool = False
    """`:=` rather than `=`."""


@dataclass(frozen=True, slots=True)
class TextNode:
    text: str


@dataclass(frozen=True, slots=True)
class ActionNode:
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class IfNode:
    pipeline: Pipeline
    body: Nodes
    otherwise: Nodes


@dataclass(frozen=True, slots=True)
class WithNode:
    pipeline: Pipeline
    body: Nodes
    otherwise: Nodes


@dataclass(frozen=True, slots=True)
class RangeNode:
    pipeline: Pipeline
    body: Nodes
    otherwise: Nodes


@dataclass(frozen=True, slots=True)
class TemplateNode:
    """`{{ template "name" pipeline }}`."""

    name: str
    pipeline: Pipeline | None
    offset: int


@dataclass(frozen=True, slots=True)
class BreakNode:
    pass


@dataclass(frozen=True, slots=True)
class ContinueNode:
    pass


Node = TextNode | ActionNode | IfNode | WithNode | RangeNode | TemplateNode | BreakNode | ContinueNode
Nodes = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """One named body, with the text its offsets point into."""

    name: str
    text: str
    nodes: Nodes


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: its own body and the templates it defines."""

    main: Definition
    definitions: MappingProxyType[str, Definition]
    functions: frozenset[str]
    """Names of the functions that are called somewhere."""


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
