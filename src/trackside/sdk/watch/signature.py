"""Tells ASGI and WSGI callables apart by how they want to be called."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def is_asgi(thing: object) -> bool:
    """Three arguments, and either a coroutine function or the customary names (a plain function may hand back the
    awaitable of another)."""
    names = _arguments(thing)
    return len(names) == 3 and (_is_coroutine_function(thing) or names == ("scope", "receive", "send"))


def is_wsgi(thing: object) -> bool:
    return len(_arguments(thing)) == 2 and not _is_coroutine_function(thing)


def _arguments(thing: Any) -> tuple[str, ...]:
    """Names of the positional arguments `thing` must be called with; () when that is not clear."""
    # A class is a factory of applications, not one.
    if not callable(thing) or inspect.isclass(thing):
        return ()
    try:
        # Of an object the method, since `signature` refuses objects that cannot be hashed.
        called = thing if isinstance(thing, partial) or inspect.isroutine(thing) else thing.__call__
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return ()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return ()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind in _POSITIONAL and parameter.default is parameter.empty
    )


def _is_coroutine_function(thing: Any) -> bool:
    while isinstance(thing, partial):
        thing = thing.func
    return inspect.iscoroutinefunction(thing) or inspect.iscoroutinefunction(getattr(type(thing), "__call__", None))  # noqa: B004
