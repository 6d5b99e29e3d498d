"""What a query's author should know though the query worked, in Prometheus' words."""

from __future__ import annotations

from trackside.exceptions import QueryError
from trackside.server.promql.syntax import Span

# As many as Prometheus shows of each kind.
MOST_SHOWN = 10


class Annotations:
    """Warnings and infos of one query, each once, in the order of their first cause."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}

    def warn(self, message: str, span: Span) -> None:
        self._warnings[f"PromQL warning: {message}{self._position(span)}"] = None

    def info(self, message: str, span: Span) -> None:
        self._infos[f"PromQL info: {message}{self._position(span)}"] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        return _shown(self._warnings, "warning")

    @property
    def infos(self) -> tuple[str, ...]:
        return _shown(self._infos, "info")

    def _position(self, span: Span) -> str:
        position = QueryError("", query=self._query, start=span.start, end=span.end).position
        return "" if position is None else " ({}:{})".format(*position)


def _shown(messages: dict[str, None], kind: str) -> tuple[str, ...]:
    every = tuple(messages)
    if len(every) <= MOST_SHOWN:
        return every
    return (*every[:MOST_SHOWN], f"{len(every) - MOST_SHOWN} more {kind} annotations omitted")
