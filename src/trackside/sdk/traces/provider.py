"""Sets OpenTelemetry's tracing up from the environment: who we are, what share is traced, where it is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from trackside.sdk.about import About
from trackside.sdk.flushing import Flushing
from trackside.sdk.surroundings import Layer, Surroundings

_log = logging.getLogger("trackside")
_OTLP_PATH = "/v1/traces"
_TIMEOUT_S = 3.0
"""Of one export with all its attempts, unless the environment says. A process that ends waits for its last one, and
OpenTelemetry's own ten seconds are all that most platforms grant before they kill it."""
_state: dict[str, Any] = {}
"""The provider that is on in this process: OpenTelemetry has one for a process, too."""


def is_on() -> bool:
    return "provider" in _state


class MonitorTraces:
    """The traces of one monitor."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._on = False

    @classmethod
    def of(cls, about: About) -> MonitorTraces:
        return about.context.shared.the(cls, lambda: cls(about))

    def set_up(self, exporter: Any = None) -> bool:
        """Whether requests are traced from here on."""
        if self._on:
            return True
        if self._about.signals.otel_disabled:
            _log.debug("requests are not traced: OTEL_SDK_DISABLED is true")
            return False
        try:
            import opentelemetry.sdk.trace  # noqa: F401, PLC0415 - an extra, and slow to import
        except ImportError:
            _log.warning(
                'requests are not traced: opentelemetry-sdk is not installed (pip install "trackside[traces]")'
            )
            return False
        with self._about.context.guard.shielded("set traces up"):
            self._connect(exporter)
            self._on = True
        return self._on

    def _connect(self, exporter: Any) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

        from trackside.sdk.traces.request_spans import asgi_layer, wsgi_layer  # noqa: PLC0415 - as above

        provider = trace.get_tracer_provider()
        if not isinstance(provider, TracerProvider):
            # One that the application has set is left as it is: it knows better where its traces should go.
            provider = self._new_provider()
            trace.set_tracer_provider(provider)
            for processor in self._processors(exporter):
                provider.add_span_processor(processor)
        elif exporter is not None:
            provider.add_span_processor(_processor(exporter))
        _state["provider"] = provider
        Flushing.of(self._about.context).add(lambda timeout_s: bool(provider.force_flush(int(timeout_s * 1000))))
        guard = self._about.context.guard
        Surroundings.of(self._about.context).add(Layer(asgi_layer(guard), wsgi_layer(guard)))

    def _new_provider(self) -> Any:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - as above

        signals, settings = self._about.signals, self._about.settings
        attributes = {
            "service.name": signals.otel_service or self._about.service,
            "service.version": settings.version,
            "deployment.environment.name": settings.environment,
        }
        sampler = None  # then OpenTelemetry reads OTEL_TRACES_SAMPLER, and takes everything if that is not set
        if not signals.otel_sampler and signals.traces_rate is not None:
            sampler = ParentBased(TraceIdRatioBased(signals.traces_rate))
        # What OTEL_RESOURCE_ATTRIBUTES say is meant; what OpenTelemetry makes up ("unknown_service") is not.
        said = Resource.create().attributes
        ours = {
            name: value
            for name, value in attributes.items()
            if value and (name not in said or str(said[name]).startswith("unknown_service"))
        }
        return TracerProvider(resource=Resource.create(ours), sampler=sampler)

    def _processors(self, exporter: Any) -> list[Any]:
        if exporter is not None:
            return [_processor(exporter)]
        makers: dict[str, Callable[[], Any]] = {"otlp": self._otlp, "console": _console}
        signals, settings = self._about.signals, self._about.settings
        named = signals.otel_exporter
        if not named:
            named = "otlp" if signals.otel_endpoint or settings.server_url else "none"
        exporters = [makers[name]() for part in named.split(",") if (name := part.strip()) in makers]
        return [_processor(found) for found in exporters if found is not None]

    def _otlp(self) -> Any:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - extra
        except ImportError:
            _log.warning(
                "traces are not sent: opentelemetry-exporter-otlp-proto-http is not installed"
                ' (pip install "trackside[traces]")'
            )
            return None
        signals, settings = self._about.signals, self._about.settings
        timeout_s = None if signals.otel_timeout else _TIMEOUT_S
        if signals.otel_endpoint or not settings.server_url:
            return OTLPSpanExporter(timeout=timeout_s)
        headers = {"Authorization": f"Bearer {settings.server_key}"} if settings.server_key else {}
        return OTLPSpanExporter(endpoint=settings.server_url + _OTLP_PATH, headers=headers, timeout=timeout_s)


def _processor(exporter: Any) -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    return BatchSpanProcessor(exporter)


def _console() -> Any:
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 - an extra

    return ConsoleSpanExporter()
