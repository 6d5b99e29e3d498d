"""Paths a middleware treats apart: those it answers itself, those it does not count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trackside.model.cheap_typing import Protocol

Headers = Mapping[str, str]
"""By name in lower case."""


class Answer(Protocol):
    """What the monitoring says on a path of its own, such as `/metrics`."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def body(self) -> bytes: ...


class PathSet:
    """Paths, and beginnings of paths: "/metrics", "/static/*"."""

    def __init__(self, paths: Iterable[str]) -> None:
        given = set(paths)
        self.exact = frozenset(path for path in given if not path.endswith("*"))
        self.prefixes = tuple(sorted(path[:-1] for path in given if path.endswith("*")))

    def __contains__(self, path: str) -> bool:
        return path in self.exact or path.startswith(self.prefixes)

    def __or__(self, other: PathSet) -> PathSet:
        return PathSet((*self.exact, *other.exact, *(f"{prefix}*" for prefix in (*self.prefixes, *other.prefixes))))


def joined_headers(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Of an ASGI scope; a header given twice is joined as HTTP allows."""
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
