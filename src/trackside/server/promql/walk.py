"""Walking over a syntax tree and rebuilding it, for whoever reads expressions without evaluating them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from trackside.server.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Paren,
    Subquery,
    Unary,
    VectorSelector,
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly within `expr`, as they stand in the text."""
    match expr:
        case MatrixSelector():
            return (expr.selector,)
        case Call():
            return expr.args
        case Aggregate():
            return (expr.expr,) if expr.param is None else (expr.param, expr.expr)
        case Binary():
            return (expr.left, expr.right)
        case Subquery() | Paren() | Unary():
            return (expr.expr,)
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """`expr` and all within it, each before what is within it."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def selectors_of(expr: Expr) -> list[VectorSelector]:
    return [each for each in walk(expr) if isinstance(each, VectorSelector)]


def rebuilt(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The tree with each expression that `change` gives another for replaced; what replaces is not looked into.

    Spans are those of the old text.
    """
    changed = change(expr)
    if changed is not None:
        return changed
    match expr:
        case MatrixSelector():
            selector = rebuilt(expr.selector, change)
            return replace(expr, selector=selector) if isinstance(selector, VectorSelector) else expr
        case Call():
            return replace(expr, args=tuple(rebuilt(arg, change) for arg in expr.args))
        case Aggregate():
            param = None if expr.param is None else rebuilt(expr.param, change)
            return replace(expr, expr=rebuilt(expr.expr, change), param=param)
        case Binary():
            return replace(expr, left=rebuilt(expr.left, change), right=rebuilt(expr.right, change))
        case Subquery() | Paren() | Unary():
            return replace(expr, expr=rebuilt(expr.expr, change))
        case _:
            return expr
