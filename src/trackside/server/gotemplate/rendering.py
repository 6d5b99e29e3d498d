"""Template and data to text, within a bound of work, output and nesting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trackside.exceptions import TemplateError, TracksideError
from trackside.server.gotemplate.builtins import BUILTINS, SHORT_CIRCUIT
from trackside.server.gotemplate.syntax import (
    ActionNode,
    BreakNode,
    Chain,
    Command,
    ContinueNode,
    Definition,
    Dot,
    Field,
    Function,
    IfNode,
    Literal,
    Node,
    Nodes,
    Operand,
    Pipeline,
    RangeNode,
    Template,
    TemplateNode,
    TextNode,
    Variable,
    WithNode,
    position,
)
from trackside.server.gotemplate.values import GoFunction, Object, item, printed, truth, type_name

_NO_VARIABLES: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Limits:
    steps: int = 100_000
    output_characters: int = 1 << 18
    nesting: int = 100


DEFAULT_LIMITS = Limits()
TAIL_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a template sees beside its data."""

    functions: Mapping[str, GoFunction]
    variables: Mapping[str, object] = field(default_factory=dict)
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    """Templates defined elsewhere; those of the template itself win."""
    written: Callable[[object, str], str] | None = None
    """How a value goes into the output: given the value and the end of what is there already. None: as it is."""


def render(template: Template, data: object, around: Surroundings, limits: Limits = DEFAULT_LIMITS) -> str:
    """
    Raises:
        TemplateError: the template asks for what is not there, a function refuses, or a limit is reached.
    """
    definitions = {**around.definitions, **template.definitions}
    renderer = _Renderer(around, definitions, limits)
    try:
        renderer.run(template.main, data, around.variables)
    except RecursionError as error:
        raise renderer.error(0, "nested too deeply") from error
    return "".join(renderer.out)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Renderer:
    def __init__(self, around: Surroundings, definitions: Mapping[str, Definition], limits: Limits) -> None:
        self._functions = {**BUILTINS, **around.functions}
        self._written = around.written
        self._definitions = definitions
        self._limits = limits
        self._steps = limits.steps
        self._room = limits.output_characters
        self._depth = 0
        self._in: Definition | None = None
        self._variables: list[tuple[str, object]] = []
        self.out: list[str] = []

    def error(self, offset: int, reason: str) -> TemplateError:
        name, text = (self._in.name, self._in.text) if self._in is not None else ("", "")
        line, column = position(text, offset)
        return TemplateError(reason, name=name, line=line, column=column)

    def run(self, definition: Definition, data: object, variables: Mapping[str, object]) -> None:
        outside, self._in = self._in, definition
        held, self._variables = self._variables, [("$", data), *variables.items()]
        self._walk(definition.nodes, data)
        self._variables, self._in = held, outside

    def _step(self, offset: int, cost: int = 1) -> None:
        self._steps -= cost
        if self._steps < 0:
            raise self.error(offset, f"takes more than {self._limits.steps:,} steps")

    def _write(self, text: str, offset: int) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise self.error(offset, f"makes more than {self._limits.output_characters:,} characters")
        self.out.append(text)

    def _tail(self) -> str:
        tail = ""
        for part in reversed(self.out):
            if len(tail) >= TAIL_CHARACTERS:
                break
            tail = part[-TAIL_CHARACTERS:] + tail
        return tail

    def _walk(self, nodes: Nodes, dot: object) -> None:
        self._depth += 1
        if self._depth > self._limits.nesting:
            raise self.error(0, f"nested more than {self._limits.nesting} deep")
        scope = len(self._variables)
        for node in nodes:
            self._node(node, dot)
        del self._variables[scope:]
        self._depth -= 1

    def _node(self, node: Node, dot: object) -> None:
        match node:
            case TextNode(text):
                self._step(0)
                self._write(text, 0)
            case ActionNode(pipeline):
                value = self._pipeline(pipeline, dot)
                if not pipeline.variables:
                    text = printed(value) if self._written is None else self._written(value, self._tail())
                    self._write(text, pipeline.offset)
            case IfNode() | WithNode():
                self._branch(node, dot)
            case RangeNode():
                self._range(node, dot)
            case TemplateNode():
                self._template(node, dot)
            case BreakNode():
                raise _Break
            case ContinueNode():
                raise _Continue

    def _branch(self, node: IfNode | WithNode, dot: object) -> None:
        scope = len(self._variables)
        value = self._pipeline(node.pipeline, dot)
        if truth(value):
            self._walk(node.body, value if isinstance(node, WithNode) else dot)
        else:
            self._walk(node.otherwise, dot)
        del self._variables[scope:]

    def _range(self, node: RangeNode, dot: object) -> None:
        scope, depth = len(self._variables), self._depth
        pipeline = node.pipeline
        value = self._pipeline(pipeline, dot, assign=False)
        empty = True
        try:
            for key, element in self._elements(value, pipeline.offset):
                empty = False
                self._step(pipeline.offset)
                pair = (element,) if len(pipeline.variables) == 1 else (key, element)
                for name, part in zip(pipeline.variables, pair, strict=False):
                    self._set(name, part, declare=pipeline.declares)
                try:
                    self._walk(node.body, element)
                except _Continue:
                    self._depth = depth
                del self._variables[scope:]
        except _Break:
            self._depth = depth
        del self._variables[scope:]
        if empty:
            self._walk(node.otherwise, dot)

    def _elements(self, value: object, offset: int) -> Iterator[tuple[object, object]]:
        if isinstance(value, list | tuple):
            return iter(list(enumerate(value)))
        if isinstance(value, Mapping):
            return iter([(key, value[key]) for key in sorted(value)])
        if isinstance(value, int) and not isinstance(value, bool):
            return ((number, number) for number in range(value))
        if value is None:
            return iter(())
        raise self.error(offset, f"cannot range over {type_name(value)}")

    def _template(self, node: TemplateNode, dot: object) -> None:
        self._step(node.offset)
        definition = self._definitions.get(node.name)
        if definition is None:
            raise self.error(node.offset, f"template {node.name!r} is not defined")
        data = self._pipeline(node.pipeline, dot) if node.pipeline is not None else None
        self.run(definition, data, _NO_VARIABLES)

    def _set(self, name: str, value: object, *, declare: bool) -> None:
        if not declare:
            for at in range(len(self._variables) - 1, -1, -1):
                if self._variables[at][0] == name:
                    self._variables[at] = (name, value)
                    return
        self._variables.append((name, value))

    def _pipeline(self, pipeline: Pipeline, dot: object, *, assign: bool = True) -> object:
        piped: tuple[object, ...] = ()
        for command in pipeline.commands:
            self._step(command.offset)
            piped = (self._command(command, dot, piped),)
        if assign and pipeline.variables:
            self._set(pipeline.variables[0], piped[0], declare=pipeline.declares)
        return piped[0]

    def _command(self, command: Command, dot: object, piped: tuple[object, ...]) -> object:
        """`piped` is the result of the command before, in a tuple of one; empty for the first."""
        head, rest = command.operands[0], command.operands[1:]
        if isinstance(head, Function) and head.name in SHORT_CIRCUIT:
            return self._short_circuit(head, rest, dot, piped)
        args = (*(self._operand(operand, dot) for operand in rest), *piped)
        if isinstance(head, Function):
            return self._call(self._functions.get(head.name), head.name, args, head.offset)
        return self._operand(head, dot, args)

    def _short_circuit(
        self, head: Function, rest: tuple[Operand, ...], dot: object, piped: tuple[object, ...]
    ) -> object:
        if not rest and not piped:
            raise self.error(head.offset, f"{head.name}: missing argument")
        value: object = None
        for operand in rest:
            value = self._operand(operand, dot)
            if truth(value) == (head.name == "or"):
                return value
        return piped[0] if piped else value

    def _operand(self, operand: Operand, dot: object, args: tuple[object, ...] = ()) -> object:
        match operand:
            case Literal(value, offset):
                return self._no_arguments(value, args, offset)
            case Dot(offset):
                return self._no_arguments(dot, args, offset)
            case Field(fields, offset):
                return self._fields(dot, fields, args, offset)
            case Variable(name, fields, offset):
                return self._fields(self._value_of(name, offset), fields, args, offset)
            case Chain(pipeline, fields, offset):
                self._depth += 1
                if self._depth > self._limits.nesting:
                    raise self.error(offset, f"nested more than {self._limits.nesting} deep")
                value = self._pipeline(pipeline, dot)
                self._depth -= 1
                return self._fields(value, fields, args, offset)
            case Function(name, offset):
                return self._call(self._functions.get(name), name, args, offset)

    def _no_arguments(self, value: object, args: tuple[object, ...], offset: int) -> object:
        if args:
            raise self.error(offset, "this is a value, not a function: it takes no arguments")
        return value

    def _value_of(self, name: str, offset: int) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self.error(offset, f"variable {name} is not set")

    def _fields(self, value: object, fields: tuple[str, ...], args: tuple[object, ...], offset: int) -> object:
        if not fields:
            return self._no_arguments(value, args, offset)
        for name in fields[:-1]:
            value = self._field(value, name, (), offset)
        return self._field(value, fields[-1], args, offset)

    def _field(self, value: object, name: str, args: tuple[object, ...], offset: int) -> object:
        if isinstance(value, Object):
            member = self._member(value, name, offset)
            if isinstance(member, GoFunction):
                return self._call(member, name, args, offset)
            return self._no_arguments(member, args, offset)
        if isinstance(value, Mapping):
            return self._no_arguments(item(value, name), args, offset)
        reason = f"nil has no field {name}" if value is None else f"{type_name(value)} has no field {name}"
        raise self.error(offset, reason)

    def _member(self, value: Object, name: str, offset: int) -> object:
        try:
            return value.member(name)
        except KeyError:
            if isinstance(value, Mapping):
                return item(value, name)
        raise self.error(offset, f"{value.type_name} has no field {name}")

    def _call(self, function: GoFunction | None, name: str, args: tuple[object, ...], offset: int) -> object:
        if function is None:
            raise self.error(offset, f"function {name!r} is not defined")
        try:
            result = function(*args)
        except (ValueError, ArithmeticError, LookupError, TracksideError) as error:
            raise self.error(offset, f"error calling {name}: {error}") from error
        if isinstance(result, str):
            self._step(offset, len(result) // 64)
        return result
