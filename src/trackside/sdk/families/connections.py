"""What is connected at this moment: clients by kind, and participants of voice channels."""

from __future__ import annotations

from trackside.instruments.gauge import Gauge
from trackside.sdk.families.block import Block, End
from trackside.sdk.families.maker import Maker
from trackside.sdk.families.places import Places

MAX_KINDS = 50
MAX_CHANNELS = 500
_OTHER = "other"


class AllConnections:
    """One for a monitor: each kind is a family of its own."""

    def __init__(self, make: Maker) -> None:
        self._make = make
        self._kinds: dict[str, Connections] = {}

    def of(self, kind: str) -> Connections:
        """
        Raises:
            TypeError: no text. Others are labels, which anything can be; this is in the name of a metric.
        """
        if not isinstance(kind, str):
            raise TypeError(f'connections are of a kind such as "edge_relay"; got {kind!r}')
        found = self._kinds.get(kind)
        if found is None:
            if len(self._kinds) >= MAX_KINDS:
                kind = _OTHER
            words = kind.replace("_", " ").replace("-", " ")
            gauge = self._make.gauge(f"{kind.replace('-', '_')}_connections", f"Open connections: {words}.")
            found = self._kinds.setdefault(kind, Connections(self._make, gauge))
        return found


class Connections:
    """Of one kind."""

    def __init__(self, make: Maker, gauge: Gauge) -> None:
        self._guard = make.guard
        self._gauge = gauge

    def opened(self) -> None:
        self._gauge.inc()

    def closed(self) -> None:
        self._gauge.dec()

    def track(self) -> Block:
        """A block or function that lasts as long as a connection."""

        def begin() -> End:
            self.opened()
            return lambda error: self.closed()

        return Block(self._guard, begin)


class VoiceChannels:
    """One for a monitor. A channel is shown while somebody is in it; those beyond five hundred share a series."""

    def __init__(self, make: Maker) -> None:
        self.guard = make.guard
        help = "Active participants of a voice channel."
        self._participants = make.gauge("voice_participants", help, ("channel_id",))
        self._channels = Places(MAX_CHANNELS, make.lock)
        self._present: dict[str, int] = {}

    def channel(self, channel_id: object) -> VoiceChannel:
        return VoiceChannel(self, str(channel_id))

    def joined(self, channel_id: str) -> None:
        with self.guard.shielded("count a participant"), self._channels.lock:
            label = self._channels.of(channel_id)
            self._present[label] = self._present.get(label, 0) + 1
            self._participants.labels(label).set(self._present[label])

    def left(self, channel_id: str) -> None:
        with self.guard.shielded("count a participant"), self._channels.lock:
            label = self._channels.known(channel_id)
            present = self._present.get(label, 0) - 1
            if present > 0:
                self._present[label] = present
                self._participants.labels(label).set(present)
            elif label in self._present:
                del self._present[label]
                self._channels.free(label)
                self._participants.remove(label)


class VoiceChannel:
    __slots__ = ("_channels", "_id")

    def __init__(self, channels: VoiceChannels, channel_id: str) -> None:
        self._channels = channels
        self._id = channel_id

    def joined(self) -> None:
        self._channels.joined(self._id)

    def left(self) -> None:
        self._channels.left(self._id)

    def track(self) -> Block:
        """A block or function during which a participant is there."""

        def begin() -> End:
            self.joined()
            return lambda error: self.left()

        return Block(self._channels.guard, begin)
