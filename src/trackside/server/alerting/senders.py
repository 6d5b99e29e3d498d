"""The senders of all receivers, changed by a reload without losing what waits in their queues."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trackside.server.alerting import store
from trackside.server.alerting.sender import Integration, Sender, SenderPorts
from trackside.server.db.database import Work

CLOSE_PATIENCE_S = 5.0
Receivers = Mapping[str, Sequence[Integration]]


class Senders:
    def __init__(self, ports: SenderPorts) -> None:
        self._ports = ports
        self._by_name: dict[str, Sender] = {}
        self._by_receiver: dict[str, list[Sender]] = {}

    def __iter__(self) -> Iterator[Sender]:
        return iter(list(self._by_name.values()))

    def of(self, receiver: str) -> Sequence[Sender]:
        return self._by_receiver.get(receiver, ())

    def named(self, name: str) -> Sender | None:
        return self._by_name.get(name)

    def configure(self, receivers: Receivers) -> list[Work]:
        """Tell these receivers from now on. What waits for those that are gone is given up."""
        wanted: dict[str, Sender] = {}
        by_receiver: dict[str, list[Sender]] = {}
        for receiver, integrations in receivers.items():
            counts: dict[str, int] = {}
            for integration in integrations:
                kind = integration.kind
                name = f"{receiver}/{kind}/{counts.get(kind, 0)}"
                counts[kind] = counts.get(kind, 0) + 1
                sender = self._by_name.pop(name, None) or Sender(receiver, name, integration, self._ports)
                sender.use(integration)
                wanted[name] = sender
                by_receiver.setdefault(receiver, []).append(sender)
        abandoned = [work for sender in self._by_name.values() for work in sender.abandon("no longer configured")]
        self._by_name, self._by_receiver = wanted, by_receiver
        return abandoned

    def restore(self, stored: store.Stored) -> list[Work]:
        """As the process before left them; what waited for a receiver that is gone is given up."""
        for name, sender in self._by_name.items():
            told = {group: known for (owner, group), known in stored.told.items() if owner == name}
            sender.restore(told, [one for one in stored.waiting if one.integration == name])
        strays = [one for one in stored.waiting if one.integration not in self._by_name]
        return [store.given_up(one, "no longer configured") for one in strays]

    def elsewhere(self, receivers: Iterable[str], refusing: Sender) -> list[str]:
        """The receivers that can be told that one integration refuses what it is told: of those named, else of all."""
        for candidates in (receivers, self._by_receiver):
            found = [name for name in candidates if any(one is not refusing for one in self.of(name))]
            if found:
                return found
        return []

    def wake(self) -> None:
        for sender in self._by_name.values():
            sender.wake()

    async def drain(self) -> None:
        for sender in self:
            await sender.drain()

    async def close(self) -> None:
        await asyncio.gather(*(sender.close(CLOSE_PATIENCE_S) for sender in self))
