"""The seam to outgrow one machine: everything that asks for metrics asks here, whoever keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trackside.model.labels import Labels
from trackside.server.series import QueryResult


class MetricsBackend(Protocol):
    """`match` is a list of selectors as text (`up{job="shop"}`); a series belongs if any of them matches, all if empty.

    Every method raises `QueryError` for a wrong expression or selector, `QueryLimitError` or `QueryTimeoutError` for
    one that asks too much.
    """

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        """Value of `expr` at one moment."""
        ...

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        """Values of `expr` at start, start + step, … up to and including end."""
        ...

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]: ...

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]: ...

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]: ...
