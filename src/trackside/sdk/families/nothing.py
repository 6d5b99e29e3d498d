"""What the ready-made families are when metrics are off: everything can be called, nothing happens."""

from __future__ import annotations

from typing import Any, TypeVar

from trackside.sdk.switched_off import NO_INSTRUMENT, NoInstrument, NoTimer

T = TypeVar("T")


class Nothing(NoTimer):
    """In the place of a cache, messages, a buffer, sessions, a write, connections, a voice channel, a query to a
    model, a call of another service, a job."""

    __slots__ = ()

    size: NoInstrument = NO_INSTRUMENT
    records: int | None = None

    def __setattr__(self, name: str, value: object) -> None:
        """Accepted and dropped."""

    def __enter__(self) -> Nothing:
        return self

    async def __aenter__(self) -> Nothing:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    def found(self, value: object) -> None:
        return None

    def lookup(self, function: T) -> T:
        return function

    def follow(self, function: T) -> T:
        return function

    def processing(self, message_type: str) -> Nothing:
        return self

    def track(self) -> Nothing:
        return self

    def do_nothing(self, *args: Any, **named: Any) -> None:
        return None

    hit = miss = expect = received = processed = failed = forget = created = ended = do_nothing
    opened = closed = joined = left = will_be_retried = set = inc = dec = resize = close = do_nothing
    tokens = usage_of = first_token = answered = end = cost = do_nothing


NOTHING = Nothing()
