"""The `/metrics` page: our families and prometheus_client's, in the format the scraper asks for."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.instruments.bridge import Bridge
from trackside.instruments.registry import Registry
from trackside.instruments.rendering import Rendering
from trackside.model.metrics import MetricFamily
from trackside.sdk.guard import Guard
from trackside.wire.negotiation import Format, negotiate
from trackside.wire.numbers import format_value

_END_MARK = b"# EOF\n"
_OF_EVERY_PROCESS = ("process_", "python_", "trackside_")


class MetricsPage:
    def __init__(self, registry: Registry, bridge: Bridge, guard: Guard) -> None:
        self.built_in: set[str] = set()
        """Families that every monitor has; what else there is, the application has made."""
        self._registry = registry
        self._bridge = bridge
        self._guard = guard
        self._renderings: dict[str, Rendering] = {}

    @property
    def may_block(self) -> bool:
        return self.connect()

    def connect(self) -> bool:
        """Show prometheus_client's families here and ours there, if the application has imported it by now."""
        connected = False
        with self._guard.shielded("join prometheus_client"):
            connected = self._bridge.connect()
        return connected

    def render(self, accept: str, *, own_only: bool = False) -> tuple[str, bytes]:
        self.connect()
        format = negotiate(accept)
        rendering = self._renderings.get(format.content_type)
        if rendering is None:
            made = Rendering(self._registry, lambda families: _without_end(format, families), format_value)
            rendering = self._renderings.setdefault(format.content_type, made)
        body = rendering.render(self._is_own if own_only else None)
        return format.content_type, body + _END_MARK if _ends(format) else body

    def _is_own(self, name: str) -> bool:
        return name not in self.built_in and not name.startswith(_OF_EVERY_PROCESS)


def _ends(format: Format) -> bool:
    return format.media_type == "application/openmetrics-text"


def _without_end(format: Format, families: Iterable[MetricFamily]) -> bytes:
    return format.render(families).removesuffix(_END_MARK)
