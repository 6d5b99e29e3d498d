"""The `/metrics` page: our families and prometheus_client's, in the format the scraper asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial

from trackside.instruments.measured import Observed
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily
from trackside.sdk.built_in import OF_EVERY_PROCESS
from trackside.sdk.guard import Guard

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.bridge import Bridge
    from trackside.instruments.rendering import Rendering
    from trackside.wire.negotiation import Format

_END_MARK = b"# EOF\n"


class MetricsPage:
    def __init__(self, registry: Registry, bridge: Bridge, guard: Guard) -> None:
        self.built_in: set[str] = set()
        """Names of families that monitors make by themselves; what else there is, the application has made."""
        self._registry = registry
        self._bridge = bridge
        self._guard = guard
        self._renderings: dict[str, Rendering] = {}

    @property
    def may_block(self) -> bool:
        # Of other processes files are read.
        return self.connect() or self._registry.is_shared or self._registry.asks_others

    def connect(self) -> bool:
        """Show prometheus_client's families here and ours there, if the application has imported it by now."""
        connected = False
        with self._guard.shielded("join prometheus_client"):
            connected = self._bridge.connect()
        return connected

    def render(self, accept: str, *, own_only: bool = False) -> tuple[str, bytes]:
        # An import of the application cannot wait; the first scrape can.
        from trackside.instruments.rendering import Rendering  # noqa: PLC0415 - see above
        from trackside.wire.negotiation import negotiate, prefers_protobuf  # noqa: PLC0415 - see above
        from trackside.wire.numbers import format_value  # noqa: PLC0415 - see above

        self.connect()
        if prefers_protobuf(accept):
            from trackside.sdk.protobuf_page import native_page  # noqa: PLC0415 - hardly anybody asks for it

            page = native_page(self._registry, self._is_own if own_only else None)
            if page is not None:
                return page
        format = negotiate(accept)
        rendering = self._renderings.get(format.content_type)
        if rendering is None:
            written = _written_exemplar if _ends(format) else None
            words = self._bridge.in_their_words(format.content_type)
            made = Rendering(self._registry, partial(_without_end, format), format_value, written, words)
            rendering = self._renderings.setdefault(format.content_type, made)
        if _ends(format):
            self._look_for_traces()
        body = rendering.render(self._is_own if own_only else None)
        return format.content_type, body + _END_MARK if _ends(format) else body

    def _look_for_traces(self) -> None:
        # Not before somebody reads a format that shows them, in an application that traces: it costs something at each
        # observation.
        if self._registry.cells.trace is None and "opentelemetry.trace" in sys.modules:
            from trackside.sdk.traces.current import current_trace  # noqa: PLC0415 - where there are traces

            self._registry.cells.trace = current_trace

    def _is_own(self, name: str) -> bool:
        return name not in self.built_in and not name.startswith(OF_EVERY_PROCESS)


def _ends(format: Format) -> bool:
    return format.media_type == "application/openmetrics-text"


def _written_exemplar(observed: Observed) -> str:
    from trackside.wire.openmetrics import exemplar_text  # noqa: PLC0415 - the first scrape can wait

    labels = Labels.of(trace_id=observed.trace_id, span_id=observed.span_id)
    return exemplar_text(Exemplar(labels, observed.value, observed.at_s), utf8_names=False)


def _without_end(format: Format, families: Iterable[MetricFamily]) -> bytes:
    return format.render(families).removesuffix(_END_MARK)
