"""The inside of an action: commands, their operands, and the variables they set."""

from __future__ import annotations

from trackside.exceptions import TemplateError
from trackside.server.gotemplate import literals
from trackside.server.gotemplate.lexer import Kind, Token
from trackside.server.gotemplate.syntax import (
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Literal,
    Operand,
    Pipeline,
    Variable,
    position,
)

MAX_PARENTHESES = 60
_CONSTANTS = {"true": True, "false": False, "nil": None}


class PipelineParser:
    """A cursor over tokens. `variables` holds the names in scope, innermost last."""

    def __init__(self, tokens: list[Token], text: str, name: str, functions: frozenset[str]) -> None:
        self._tokens = tokens
        self.at = 0
        self.text = text
        self.name = name
        self.functions = functions
        self.variables: list[str] = []
        self.called: set[str] = set()
        self.depth = 0

    def peek(self) -> Token:
        return self._tokens[self.at]

    def next(self) -> Token:
        token = self._tokens[self.at]
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def skip_spaces(self) -> None:
        while self.peek().kind is Kind.SPACE:
            self.at += 1

    def close(self, what: str) -> None:
        self.skip_spaces()
        token = self.next()
        if token.kind is not Kind.CLOSE:
            raise self.error(token, f"unexpected {token.text!r} in {what}; expected }}}}")

    def string(self, what: str) -> str:
        self.skip_spaces()
        token = self.next()
        if token.kind not in (Kind.STRING, Kind.RAW):
            raise self.error(token, f"expected a quoted name after {{{{{what}")
        return str(self._string_literal(token).value)

    def error(self, at: Token | int, reason: str) -> TemplateError:
        line, column = position(self.text, at if isinstance(at, int) else at.offset)
        return TemplateError(reason, name=self.name, line=line, column=column)

    def pipeline(self, *, may_declare: bool = False, in_range: bool = False) -> Pipeline:
        self.skip_spaces()
        start = self.peek().offset
        names, declares = self._declaration(in_range) if may_declare else ((), False)
        commands = [self._command(first=True)]
        while self.peek().kind is Kind.PIPE:
            self.next()
            commands.append(self._command(first=False))
        if declares:
            self.variables += names
        return Pipeline(tuple(commands), start, names, declares)

    def _declaration(self, in_range: bool) -> tuple[tuple[str, ...], bool]:
        """Reads `$x :=`, `$x =` or, in a range, `$i, $x :=`; nothing when the variable is only used."""
        begin = self.at
        names: list[str] = []
        while self.peek().kind is Kind.VARIABLE:
            names.append(self.next().text)
            self.skip_spaces()
            token = self.next()
            if token.kind in (Kind.DECLARE, Kind.ASSIGN):
                return self._checked(tuple(names), token), token.kind is Kind.DECLARE
            if token.kind is not Kind.COMMA:
                break
            if not in_range or len(names) > 1:
                raise self.error(token, "too many variables; two are possible, and in a {{range}} only")
            self.skip_spaces()
        self.at = begin
        return (), False

    def _checked(self, names: tuple[str, ...], token: Token) -> tuple[str, ...]:
        if token.kind is Kind.ASSIGN:
            for name in names:
                self._known_variable(name, token)
        return names

    def _known_variable(self, name: str, token: Token) -> None:
        if name not in self.variables:
            known = ", ".join(sorted(set(self.variables) - {"$"}))
            raise self.error(token, f"undefined variable {name}" + (f"; known here: {known}" if known else ""))

    def _command(self, *, first: bool) -> Command:
        self.skip_spaces()
        start = self.peek()
        operands: list[Operand] = []
        while True:
            operand = self._operand()
            if operand is None:
                break
            operands.append(operand)
            token = self.peek()
            if token.kind is not Kind.SPACE:
                break
            self.skip_spaces()
        ending = self.peek()
        if not operands:
            raise self.error(ending, f"expected a value, found {ending.text!r}" if ending.text else "expected a value")
        if ending.kind not in (Kind.PIPE, Kind.CLOSE, Kind.RIGHT):
            raise self.error(ending, f"unexpected {ending.text!r} after a value")
        self._check_command(operands, start, first=first)
        return Command(tuple(operands), start.offset)

    def _check_command(self, operands: list[Operand], start: Token, *, first: bool) -> None:
        head = operands[0]
        if isinstance(head, Literal | Dot):
            if isinstance(head, Literal) and head.value is None:
                raise self.error(start, "nil is not a command")
            if len(operands) > 1:
                raise self.error(start, f"{start.text} is no function and takes no arguments")
            if not first:
                raise self.error(start, f"{start.text} is no function: nothing can be piped into it")

    def _operand(self) -> Operand | None:
        token = self.peek()
        operand = self._term(token)
        if operand is None:
            return None
        fields: list[str] = []
        while self.peek().kind is Kind.FIELD:
            fields.append(self.next().text[1:])
        if not fields:
            return operand
        match operand:
            case Field(first, offset):
                return Field((*first, *fields), offset)
            case Variable(name, _, offset):
                return Variable(name, tuple(fields), offset)
            case Chain(inner, first, offset):
                return Chain(inner, (*first, *fields), offset)
            case Function(_, offset):
                return Chain(Pipeline((Command((operand,), offset),), offset), tuple(fields), offset)
        raise self.error(token, f"{token.text} has no fields")

    def _term(self, token: Token) -> Operand | None:
        match token.kind:
            case Kind.DOT:
                self.next()
                return Dot(token.offset)
            case Kind.FIELD:
                self.next()
                return Field((token.text[1:],), token.offset)
            case Kind.VARIABLE:
                self.next()
                self._known_variable(token.text, token)
                return Variable(token.text, (), token.offset)
            case Kind.WORD:
                self.next()
                return self._word(token)
            case Kind.LEFT:
                return self._parenthesised(token)
            case Kind.STRING | Kind.RAW | Kind.CHAR | Kind.NUMBER:
                self.next()
                return self._literal(token)
        return None

    def _word(self, token: Token) -> Operand:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], token.offset)
        if token.text not in self.functions:
            raise self.error(token, f"function {token.text!r} is not defined")
        self.called.add(token.text)
        return Function(token.text, token.offset)

    def _parenthesised(self, token: Token) -> Operand:
        self.next()
        self.depth += 1
        if self.depth > MAX_PARENTHESES:
            raise self.error(token, f"nested more than {MAX_PARENTHESES} deep")
        pipeline = self.pipeline()
        closing = self.next()
        if closing.kind is not Kind.RIGHT:
            raise self.error(closing, "expected )")
        self.depth -= 1
        return Chain(pipeline, (), token.offset)

    def _literal(self, token: Token) -> Literal:
        if token.kind is Kind.NUMBER:
            try:
                return Literal(literals.number(token.text), token.offset)
            except ValueError as error:
                raise self.error(token, str(error)) from error
        literal = self._string_literal(token)
        if token.kind is Kind.CHAR:
            if len(str(literal.value)) != 1:
                raise self.error(token, f"{token.text} is not one character")
            return Literal(ord(str(literal.value)), token.offset)
        return literal

    def _string_literal(self, token: Token) -> Literal:
        if token.kind is Kind.RAW:
            return Literal(token.text[1:-1], token.offset)
        try:
            return Literal(literals.unquote(token.text), token.offset)
        except ValueError as error:
            raise self.error(token, str(error)) from error
