"""Logs, errors and traces as a monitor offers them: each is off, and not even imported, until its method is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from trackside.sdk.about import About

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from logging import Handler

    from trackside.sdk.logs.fields import Bound
    from trackside.sdk.traces.spans import NoSpan, Span


class Signals:
    """What a monitor is, besides metrics."""

    about: About

    def logs(
        self,
        level: int | str = "INFO",
        *,
        stream: TextIO | str = "stdout",
        levels: Mapping[str, int | str] | None = None,
        names: Mapping[str, str] | None = None,
        secret_keys: Iterable[str] = (),
        push: str | bool | None = None,
    ) -> Handler:
        """From here on the logging of this process writes one JSON line for each record:
        `{"timestamp", "level", "context", "message", "requestId", "userId", …}`.

        That is stdlib logging, structlog where the application has imported it, the access logs of uvicorn and
        gunicorn, warnings, and errors that nobody caught. A watched application gives each request an id (or takes that
        of `X-Request-ID`) and answers with it. Handlers to files and services stay as they are.

        stream: "stdout", "stderr", or a stream.
        levels: of single loggers: `{"httpx": "WARNING"}`.
        names: how fields are called in the line, instead of `{"request_id": "requestId", "user_id": "userId"}`.
        secret_keys: fields whose values are left out, besides the usual passwords, tokens and cookies.
        push: the address of a Loki, or True for TRACKSIDE_URL: lines are sent there too. LOKI_URL says the same,
            and False is never.

        Raises:
            ValueError: no such level, or no address to push to.
        """
        from trackside.sdk.logs.lines import FIELD_NAMES  # noqa: PLC0415 - not everybody's logs are ours
        from trackside.sdk.logs.monitor_logs import LogOptions, MonitorLogs  # noqa: PLC0415 - as above

        chosen = FIELD_NAMES if names is None else names
        return MonitorLogs.of(self.about).set_up(
            LogOptions(level, stream, chosen, tuple(secret_keys), levels or {}, push)
        )

    def bind(self, **fields: object) -> Bound:
        """Fields for every further line of this request, job or task: `monitor.bind(user_id=user.id)`.

        As a block they are there until its end: `with monitor.bind(order=order.id):`.
        """
        from trackside.sdk.logs.fields import Bound  # noqa: PLC0415 - not everybody's logs are ours

        return Bound(fields)

    def errors(self, *, secret_keys: Iterable[str] = (), allowed_keys: Iterable[str] = (), **options: Any) -> bool:
        """Report errors to the Sentry (or the Trackside server) that SENTRY_DSN names. Whether that is so from here on:
        without the variable nothing happens.

        The environment says the rest: ENVIRONMENT, APP_VERSION, SENTRY_SAMPLE_RATE (of errors, 1),
        SENTRY_TRACES_SAMPLE_RATE (0.25), SENTRY_PROFILES_SAMPLE_RATE (of the traced, 0.1). Passwords, tokens, cookies
        and what `secret_keys` name are taken out of everything that is sent, wherever in it they are; `allowed_keys`
        look like secrets and are none. `options` are sentry-sdk's own.
        """
        from trackside.sdk.errors.sentry import MonitorErrors  # noqa: PLC0415 - an extra
        from trackside.sdk.scrub import Scrubber  # noqa: PLC0415 - as above

        return MonitorErrors.of(self.about).set_up(Scrubber(secret_keys, allowed_keys), options)

    def traces(self, *, exporter: Any = None) -> bool:
        """Trace requests with OpenTelemetry, and what they do: `span`, jobs, calls of watched clients. Whether that is
        so from here on.

        OTEL_EXPORTER_OTLP_ENDPOINT says where to (else TRACKSIDE_URL), OTEL_TRACES_SAMPLER or SENTRY_TRACES_SAMPLE_RATE
        which share. Log lines and exemplars then carry the ids of their traces. `exporter` is one of OpenTelemetry's,
        instead of those of the environment.
        """
        from trackside.sdk.traces.provider import MonitorTraces  # noqa: PLC0415 - an extra

        return MonitorTraces.of(self.about).set_up(exporter)

    def span(self, name: str, **attributes: object) -> Span | NoSpan:
        """A part of the trace: `with monitor.span("price the cart", items=3) as span:`, `span.set(total=12.5)`."""
        from trackside.sdk.traces.spans import span  # noqa: PLC0415 - not everybody traces

        return span(name, attributes)

    def inject(self) -> dict[str, str]:
        """What to send along with a job or a message, for `extract` at its other end."""
        from trackside.sdk.traces.carriers import inject  # noqa: PLC0415 - not everybody traces

        return inject()

    def extract(self, carrier: Mapping[str, Any] | None, name: str = "") -> AbstractContextManager[None]:
        """`with monitor.extract(carrier, "resize"):` is part of the trace and request that `inject` was called in."""
        from trackside.sdk.traces.carriers import continued  # noqa: PLC0415 - not everybody traces

        return continued(carrier, name)

    def flush_signals(self, timeout_s: float = 3.0) -> bool:
        """Send what waits of logs, errors and traces. Whether all of it was tried within the time, for each."""
        from trackside.sdk.flushing import Flushing  # noqa: PLC0415 - as the parts it flushes

        return Flushing.of(self.about.context).flush(timeout_s)
