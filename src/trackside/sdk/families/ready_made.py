"""The ready-made families as a monitor offers them. Each is made at its first use, so that nobody shows empty ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from trackside.sdk.families.nothing import NOTHING
from trackside.sdk.switched_off import NO_INSTRUMENT
from trackside.sdk.watch.context import WatchContext

if TYPE_CHECKING:
    from trackside.instruments.gauge import GaugeChild
    from trackside.sdk.ai.call import AiCall
    from trackside.sdk.ai.prices import Prices
    from trackside.sdk.families.buffers import Buffer, Buffers
    from trackside.sdk.families.caches import Cache, Caches
    from trackside.sdk.families.connections import AllConnections, Connections, VoiceChannel, VoiceChannels
    from trackside.sdk.families.maker import Maker
    from trackside.sdk.families.messages import Messages
    from trackside.sdk.families.sessions import Sessions
    from trackside.sdk.families.writes import Write, Writes

T = TypeVar("T")


class ReadyMade:
    """What a monitor is, besides the rest."""

    enabled: bool
    context: WatchContext

    def ai(self, model: str, operation: str = "chat") -> AiCall:
        """Measure a query to a language model: `with monitor.ai("claude-sonnet", operation="chat") as call:` and
        within it `call.tokens(input=…, output=…)`. Also `async with`, and a decorator."""
        if not self.enabled:
            return cast("AiCall", NOTHING)
        from trackside.sdk.ai.call import AiCall  # noqa: PLC0415 - not everybody asks a model
        from trackside.sdk.ai.metrics import AiMetrics  # noqa: PLC0415 - as above

        return AiCall(AiMetrics.of(self.context), model, operation)

    @property
    def ai_prices(self) -> Prices:
        """By model, to be changed: `monitor.ai_prices["my-model"] = Price(input=3, output=15)`."""
        from trackside.sdk.ai.prices import Prices  # noqa: PLC0415 - not everybody asks a model

        return self.context.shared.the(Prices, Prices.listed)

    def cache(self, name: str) -> Cache:
        """`monitor.cache("customer_profiles").hit()`, `.miss()`, `.size.set(n)`."""
        return self._caches.cache(name) if self.enabled else cast("Cache", NOTHING)

    @cached_property
    def messages(self) -> Messages:
        """`monitor.messages.received("edge", user_id)`, `.processed("edge")`, `.failed("edge", error)`,
        and beforehand `.expect("edge", ValueError, "too_old")`."""
        if not self.enabled:
            return cast("Messages", NOTHING)
        from trackside.sdk.families.messages import Messages  # noqa: PLC0415 - made when used

        return self._the(Messages)

    def buffer(self, user_id: object, capacity: float) -> Buffer:
        """`monitor.buffer(user_id, capacity=1000).set(len(samples))`, and `.close()` when the user is gone."""
        return self._buffers.of(user_id, capacity) if self.enabled else cast("Buffer", NOTHING)

    @cached_property
    def sessions(self) -> Sessions:
        """`monitor.sessions.created()`, `.ended()`, or `with monitor.sessions.track():`."""
        if not self.enabled:
            return cast("Sessions", NOTHING)
        from trackside.sdk.families.sessions import Sessions  # noqa: PLC0415 - made when used

        return self._the(Sessions)

    def db_write(self, table: str, records: int | None = None) -> Write:
        """`with monitor.db_write("readings", records=len(batch)): …`"""
        return self._writes.write(table, records) if self.enabled else cast("Write", NOTHING)

    def pending_writes(self, table: str) -> GaugeChild:
        """Records that wait: `.inc(n)`, `.dec(n)`, or `.set_function(lambda: len(queue))`."""
        return self._writes.pending(table) if self.enabled else cast("GaugeChild", NO_INSTRUMENT)

    def connections(self, kind: str) -> Connections:
        """`with monitor.connections("edge_relay").track():` counts in `edge_relay_connections`."""
        return self._connections.of(kind) if self.enabled else cast("Connections", NOTHING)

    def voice_participants(self, channel_id: object) -> VoiceChannel:
        """`.joined()`, `.left()`, or `with monitor.voice_participants(channel_id).track():`."""
        return self._voice.channel(channel_id) if self.enabled else cast("VoiceChannel", NOTHING)

    def business(
        self,
        name: str,
        callback: Callable[[], object],
        *,
        percentiles: Sequence[float] = (),
        help: str = "",
        interval_s: float = 60.0,
        deadline_s: float = 30.0,
    ) -> None:
        """A gauge whose value `callback` knows; with percentiles, of the numbers that it returns. It is called every
        `interval_s` on a thread, never by a scrape, and `…_timestamp_seconds` says when it last succeeded.

        Raises:
            ValueError, TypeError: an argument makes no sense.
        """
        from trackside.sdk.families.business import Business, BusinessGauge  # noqa: PLC0415 - made when used

        gauge = BusinessGauge(name, callback, tuple(percentiles), help, interval_s, deadline_s)
        if self.enabled:
            self._the(Business).add(gauge)

    @cached_property
    def _caches(self) -> Caches:
        from trackside.sdk.families.caches import Caches  # noqa: PLC0415 - made when used

        return self._the(Caches)

    @cached_property
    def _buffers(self) -> Buffers:
        from trackside.sdk.families.buffers import Buffers  # noqa: PLC0415 - made when used

        return self._the(Buffers)

    @cached_property
    def _writes(self) -> Writes:
        from trackside.sdk.families.writes import Writes  # noqa: PLC0415 - made when used

        return self._the(Writes)

    @cached_property
    def _connections(self) -> AllConnections:
        from trackside.sdk.families.connections import AllConnections  # noqa: PLC0415 - made when used

        return self._the(AllConnections)

    @cached_property
    def _voice(self) -> VoiceChannels:
        from trackside.sdk.families.connections import VoiceChannels  # noqa: PLC0415 - made when used

        return self._the(VoiceChannels)

    def _the(self, kind: Callable[[Maker], T]) -> T:
        from trackside.sdk.families.maker import Maker  # noqa: PLC0415 - most applications use few of them

        return self.context.shared.the(cast("type[T]", kind), lambda: kind(Maker.of(self.context)))
