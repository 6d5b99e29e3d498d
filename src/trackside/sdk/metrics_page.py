"""The `/metrics` page: our families, in the format the scraper asks for."""

from __future__ import annotations

from collections.abc import Collection

from trackside.instruments.registry import Registry
from trackside.wire.negotiation import negotiate


class MetricsPage:
    def __init__(self, registry: Registry, own_names: Collection[str]) -> None:
        """`own_names` are the families that the application made itself."""
        self._registry = registry
        self._own_names = own_names

    @property
    def may_block(self) -> bool:
        return False

    def render(self, accept: str, *, own_only: bool = False) -> tuple[str, bytes]:
        format = negotiate(accept)
        families = self._registry.collect()
        if own_only:
            families = [family for family in families if family.name in self._own_names]
        return format.content_type, format.render(families)
