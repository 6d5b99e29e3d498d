"""Scrubs what sentry-sdk sends at the last place all of it passes: events, transactions, spans, logs, check-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trackside.sdk.scrub import Scrubber

_WHOLE_EVENTS = frozenset(("event", "transaction"))
_MARK = "_trackside_scrubs"


def scrub_envelope(envelope: Any, scrubber: Scrubber, payload: Callable[..., Any]) -> None:
    """In place, as far as the envelope goes; the data in it are replaced and not changed, since scopes share them.

    `payload` makes the holder of an item's data. Attachments are what somebody attached by hand, and stay.
    """
    for item in envelope.items:
        data = getattr(item.payload, "json", None)
        if data is None:
            continue
        cleaned = scrubber.event(data) if item.headers.get("type") in _WHOLE_EVENTS else scrubber.value(data)
        item.payload = payload(json=cleaned)


def scrubbing(transport: type, scrubber: Scrubber, count_error: Callable[[str], object]) -> type:
    """A subclass of `transport` through which nothing leaves as it was. What cannot be scrubbed does not leave."""
    from sentry_sdk.envelope import PayloadRef  # noqa: PLC0415 - the application need not have it

    def capture_envelope(self: Any, envelope: Any) -> None:
        try:
            scrub_envelope(envelope, scrubber, PayloadRef)
        except Exception:  # noqa: BLE001 - whatever is odd in it, an unscrubbed event must not leave
            count_error("scrub an error")
            return
        transport.capture_envelope(self, envelope)  # type: ignore[attr-defined]

    return type(f"Scrubbing{transport.__name__}", (transport,), {"capture_envelope": capture_envelope, _MARK: True})


def scrub_existing(client: Any, scrubber: Scrubber, count_error: Callable[[str], object]) -> None:
    """The same for a client that the application has set up by itself."""
    transport = client.transport
    if transport is not None and not getattr(transport, _MARK, False):
        transport.__class__ = scrubbing(type(transport), scrubber, count_error)
