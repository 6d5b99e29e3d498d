"""Which adapter watches a thing: the first of ours that fits by type, else one that another package brings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from trackside.sdk.watch.context import WatchContext

Adapter = Callable[[object, WatchContext], object | None]
"""Instruments a thing in place and returns it, or returns what stands for it; None when it is not of its kind."""

ENTRY_POINTS = "trackside.watch"


@dataclass(frozen=True, slots=True)
class BuiltIn:
    package: str
    """The adapter is looked at only once the application has imported this; "" is always."""
    module: str
    watches: str
    """In the plural, for the sentence that says what can be watched."""


BUILT_IN = (
    BuiltIn("fastapi", "fastapi", "FastAPI"),
    BuiltIn("starlette", "starlette", "Starlette"),
    BuiltIn("litestar", "litestar", "Litestar"),
    BuiltIn("flask", "flask", "Flask"),
    BuiltIn("django", "django", "Django applications"),
    BuiltIn("", "asgi", "ASGI"),
    BuiltIn("", "wsgi", "WSGI callables"),
)


def watch(thing: object, context: WatchContext) -> object:
    """`thing`, or what takes its place.

    Raises:
        TypeError: nobody here can watch it.
    """
    for built_in in BUILT_IN:
        if not built_in.package or built_in.package in sys.modules:
            watched = _adapter(built_in.module)(thing, context)
            if watched is not None:
                return watched
    for adapter in _foreign_adapters():
        watched = adapter(thing, context)
        if watched is not None:
            return watched
    raise TypeError(_refusal(thing))


def _adapter(module: str) -> Adapter:
    return cast(Adapter, import_module(f"trackside.sdk.watch.{module}").watch)


def _foreign_adapters() -> list[Adapter]:
    # Reads the metadata of every installed package, so only when nothing else is left to ask.
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs more than all else we import

    return [cast(Adapter, entry_point.load()) for entry_point in entry_points(group=ENTRY_POINTS)]


def _refusal(thing: object) -> str:
    *names, last = (built_in.watches for built_in in BUILT_IN)
    hint = ""
    if callable(thing):
        hint = "; an ASGI callable takes (scope, receive, send), a WSGI callable (environ, start_response)"
    return f"cannot watch {thing!r} ({type(thing).__qualname__}): Trackside watches {', '.join(names)} and {last}{hint}"
