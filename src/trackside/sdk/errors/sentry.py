"""Sets sentry-sdk up from the environment, so that what it sends is sampled, joined to its request, and scrubbed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from trackside.sdk.about import About
from trackside.sdk.errors.envelopes import scrub_existing, scrubbing
from trackside.sdk.errors.sampling import PROFILES_RATE, TRACES_RATE, opentelemetry_traces, traces_sampler
from trackside.sdk.flushing import Flushing
from trackside.sdk.logs.fields import fields_around
from trackside.sdk.scrub import Scrubber
from trackside.sdk.traces.current import current_trace

_log = logging.getLogger("trackside")
Event = dict[str, Any]
BeforeSend = Callable[[Any, Any], Any]


class MonitorErrors:
    """The errors of one monitor."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._said: set[str] = set()

    @classmethod
    def of(cls, about: About) -> MonitorErrors:
        return about.context.shared.the(cls, lambda: cls(about))

    def set_up(self, scrubber: Scrubber, options: Mapping[str, Any]) -> bool:
        """Whether errors are reported from here on. `options` are sentry-sdk's own, and win over the environment's."""
        dsn = options.get("dsn", self._about.signals.sentry_dsn)
        if not dsn:
            self._say(logging.DEBUG, "errors are not reported: SENTRY_DSN is not set")
            return False
        try:
            import sentry_sdk  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            self._say(
                logging.WARNING,
                "errors are not reported: SENTRY_DSN is set, but sentry-sdk is not installed"
                ' (pip install "trackside[errors]")',
            )
            return False
        done = False
        with self._about.context.guard.shielded("set Sentry up"):
            count_error = self._about.context.registry.count_error
            client = sentry_sdk.get_client()
            if client.is_active():
                scrub_existing(client, scrubber, count_error)
            else:
                sentry_sdk.init(**self._options(scrubber, {**options, "dsn": dsn}))
            Flushing.of(self._about.context).add(_flush)
            done = True
        return done

    def _options(self, scrubber: Scrubber, given: Mapping[str, Any]) -> dict[str, Any]:
        from sentry_sdk.scrubber import EventScrubber  # noqa: PLC0415 - as above
        from sentry_sdk.transport import HttpTransport, Transport  # noqa: PLC0415 - as above

        class NoScrubber(EventScrubber):
            """Ours comes last, and has to see the values that it shall find elsewhere too."""

            def scrub_event(self, event: Any) -> None:
                return None

        signals, context = self._about.signals, self._about.context
        transport = given.get("transport") or HttpTransport
        if not (isinstance(transport, type) and issubclass(transport, Transport)):
            raise TypeError(f"transport must be a class of sentry_sdk's transports; got {transport!r}")
        rate = TRACES_RATE if signals.traces_rate is None else signals.traces_rate
        options: dict[str, Any] = {
            "environment": signals.sentry_environment or None,
            "release": signals.sentry_release or None,
            "sample_rate": 1.0 if signals.error_rate is None else signals.error_rate,
            "profiles_sample_rate": PROFILES_RATE if signals.profiles_rate is None else signals.profiles_rate,
            "event_scrubber": NoScrubber(),
            "send_default_pii": False,
            **given,
        }
        if not {"traces_sample_rate", "traces_sampler"} & set(given):
            options["traces_sampler"] = traces_sampler(rate, context.endpoints.paths)
        options["before_send"] = joined(given.get("before_send"))
        options["transport"] = scrubbing(transport, scrubber, context.registry.count_error)
        return options

    def _say(self, level: int, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            _log.log(level, sentence)


def _flush(timeout_s: float) -> bool:
    import sentry_sdk  # noqa: PLC0415 - loaded already

    sentry_sdk.flush(timeout_s)
    return True


def joined(then: BeforeSend | None) -> BeforeSend:
    """Joins an event to its request: the id its log lines have, its user, the trace it belongs to."""

    def before_send(event: Event, hint: Mapping[str, Any]) -> Event | None:
        try:
            _join(event, hint)
        except Exception:  # noqa: BLE001 - an event without its request is better than none
            _log.debug("could not join an event to its request", exc_info=True)
        return then(event, hint) if then is not None else event

    return before_send


def _join(event: Event, hint: Mapping[str, Any]) -> None:
    exc_info = hint.get("exc_info")
    fields, left = fields_around(exc_info[1] if exc_info else None)
    if "request_id" in fields:
        event.setdefault("tags", {}).setdefault("requestId", str(fields["request_id"]))
    if fields.get("user_id") is not None:
        event.setdefault("user", {}).setdefault("id", str(fields["user_id"]))
    trace = current_trace() or left
    if trace is not None and opentelemetry_traces():
        context = event.setdefault("contexts", {}).setdefault("trace", {})
        context["trace_id"], context["span_id"] = trace
        context.pop("parent_span_id", None)
