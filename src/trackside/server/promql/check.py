"""Types: which expressions make sense, said with the place of what does not."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import NoReturn

from trackside.exceptions import QueryError
from trackside.server.promql.signatures import AGGREGATIONS, COMPARISONS, REPLACED, SET_OPERATORS, SIGNATURES, Signature
from trackside.server.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Card,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
)

# A longer selector is not repeated in a hint.
MAX_QUOTED_CHARS = 60


def type_of(expr: Expr) -> ValueType:
    """Type of an expression that passed `check`."""
    match expr:
        case NumberLiteral():
            return ValueType.SCALAR
        case StringLiteral():
            return ValueType.STRING
        case VectorSelector() | Aggregate():
            return ValueType.VECTOR
        case MatrixSelector() | Subquery():
            return ValueType.MATRIX
        case Call():
            return call_type(expr)
        case Paren() | Unary():
            return type_of(expr.expr)
        case Binary():
            scalars = expr.matching is None and type_of(expr.left) is type_of(expr.right) is ValueType.SCALAR
            return ValueType.SCALAR if scalars else ValueType.VECTOR


def call_type(call: Call) -> ValueType:
    signature = SIGNATURES.get(call.function)
    return ValueType.VECTOR if signature is None else signature.returns


def check(expr: Expr, query: str = "") -> ValueType:
    """Type of `expr`.

    Raises:
        QueryError: a function or operator is given what it cannot take.
    """
    return _Checker(query).check(expr)


@dataclass(frozen=True, slots=True)
class _Checker:
    query: str

    def check(self, expr: Expr) -> ValueType:
        # Types come up from the leaves: asking `type_of` at each level would walk a deep tree again and again.
        match expr:
            case Paren():
                return self.check(expr.expr)
            case Unary():
                return self._unary(expr)
            case Subquery():
                return self._subquery(expr)
            case Call():
                return self._call(expr)
            case Aggregate():
                return self._aggregate(expr)
            case Binary():
                return self._binary(expr)
            case NumberLiteral() | StringLiteral() | VectorSelector() | MatrixSelector():
                return type_of(expr)

    def _unary(self, expr: Unary) -> ValueType:
        found = self.check(expr.expr)
        if found not in (ValueType.SCALAR, ValueType.VECTOR):
            allowed = "unary expression only allowed on expressions of type scalar or instant vector"
            self._fail(f'{allowed}, got "{found.value}"', expr.expr.span)
        return found

    def _subquery(self, expr: Subquery) -> ValueType:
        found = self.check(expr.expr)
        if found is not ValueType.VECTOR:
            self._fail(f"subquery is only allowed on instant vector, got {found.value} instead", expr.expr.span)
        return ValueType.MATRIX

    def _call(self, call: Call) -> ValueType:
        signature = SIGNATURES.get(call.function)
        if signature is None:
            self._unknown(call)
        self._arity(call, signature)
        for index, arg in enumerate(call.args):
            expected = signature.args[min(index, len(signature.args) - 1)]
            self._expect(arg, expected, f'in call to function "{call.function}"')
        return signature.returns

    def _unknown(self, call: Call) -> NoReturn:
        name = call.function
        span = Span(call.span.start, call.span.start + len(name))
        if name in REPLACED:
            self._fail(f'unknown function with name "{name}"; {REPLACED[name]}', span)
        near = difflib.get_close_matches(name.lower()[:64], SIGNATURES, n=1, cutoff=0.7)
        self._fail(f'unknown function with name "{name}"' + (f"; did you mean {near[0]}?" if near else ""), span)

    def _arity(self, call: Call, signature: Signature) -> None:
        given, most = len(call.args), len(signature.args)
        least = most - signature.optional
        if given < least:
            kind = "at least " if signature.optional or signature.variadic else ""
            self._fail(f'expected {kind}{least} argument(s) in call to "{call.function}", got {given}', call.span)
        if given > most and not signature.variadic:
            kind = "at most " if signature.optional else ""
            self._fail(f'expected {kind}{most} argument(s) in call to "{call.function}", got {given}', call.span)

    def _aggregate(self, expr: Aggregate) -> ValueType:
        self._expect(expr.expr, ValueType.VECTOR, "in aggregation expression")
        wanted = AGGREGATIONS[expr.op]
        if wanted is not None and expr.param is not None:
            self._expect(expr.param, wanted, "in aggregation parameter")
        return ValueType.VECTOR

    def _binary(self, expr: Binary) -> ValueType:
        types = [self.check(side) for side in (expr.left, expr.right)]
        if expr.returns_bool and expr.op not in COMPARISONS:
            self._fail("bool modifier can only be used on comparison operators", expr.op_span)
        for side, found in zip((expr.left, expr.right), types, strict=True):
            if found not in (ValueType.SCALAR, ValueType.VECTOR):
                self._fail("binary expression must contain only scalar and instant vector types", side.span)
        scalars = types.count(ValueType.SCALAR)
        if scalars == 2 and expr.op in COMPARISONS and not expr.returns_bool:
            self._fail("comparisons between scalars must use BOOL modifier", expr.op_span)
        if scalars and expr.op in SET_OPERATORS:
            self._fail(f'set operator "{expr.op}" not allowed in binary scalar expression', expr.op_span)
        if scalars and expr.matching is not None:
            self._fail("vector matching only allowed between instant vectors", expr.op_span)
        self._matching(expr)
        return ValueType.SCALAR if scalars == 2 else ValueType.VECTOR

    def _matching(self, expr: Binary) -> None:
        matching = expr.matching
        if matching is None:
            return
        grouped = matching.card in (Card.MANY_TO_ONE, Card.ONE_TO_MANY)
        if grouped and expr.op in SET_OPERATORS:
            self._fail(f'no grouping allowed for "{expr.op}" operation', expr.op_span)
        both = sorted(set(matching.labels) & set(matching.include)) if matching.on else []
        if both:
            self._fail(f'label "{both[0]}" must not occur in ON and GROUP clause at once', expr.op_span)

    def _expect(self, expr: Expr, wanted: ValueType, where: str) -> None:
        found = self.check(expr)
        if found is wanted:
            return
        self._fail(f"expected type {wanted.value} {where}, got {found.value}{self._hint(expr, wanted)}", expr.span)

    def _hint(self, expr: Expr, wanted: ValueType) -> str:
        text = self.query[expr.span.start : expr.span.end]
        if wanted is ValueType.MATRIX and isinstance(expr, VectorSelector) and len(text) <= MAX_QUOTED_CHARS:
            return f": add a range, as in {text or 'up'}[5m]"
        if wanted is ValueType.VECTOR and isinstance(expr, MatrixSelector):
            return ": give it to a function such as rate() or avg_over_time() first"
        return ""

    def _fail(self, reason: str, span: Span) -> NoReturn:
        raise QueryError(reason, query=self.query, start=span.start, end=span.end)
