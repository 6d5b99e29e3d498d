"""Samples of one user that wait for the user's consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

from ingestion_server.messages import BufferFullError, Sample
from ingestion_server.monitoring import monitor


class Buffer:
    def __init__(self, user_id: str, capacity: int) -> None:
        self._samples: deque[Sample] = deque()
        self._capacity = capacity
        self._arrived = asyncio.Event()
        self._shown = monitor.buffer(user_id, capacity)

    def put(self, samples: Sequence[Sample]) -> None:
        """All of them or none.

        Raises:
            BufferFullError: they do not fit in.
        """
        if len(self._samples) + len(samples) > self._capacity:
            raise BufferFullError(f"{len(self._samples)} samples wait for the consumer: send these again later")
        self._samples.extend(samples)
        self._arrived.set()
        self._shown.set(len(self._samples))

    async def oldest(self, most: int) -> list[Sample]:
        """At least one, when there is one. They stay until they are removed: their consumer may go before it has read
        them."""
        await self._arrived.wait()
        return list(islice(self._samples, most))

    def remove(self, count: int) -> None:
        """The oldest ones."""
        for _ in range(count):
            self._samples.popleft()
        if not self._samples:
            self._arrived.clear()
        self._shown.set(len(self._samples))

    def close(self) -> None:
        """The user is gone."""
        self._shown.close()
