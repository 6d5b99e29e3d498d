"""What pollers and workers have in common: rounds on a thread, sooner when there is work, and a connection that is made
anew when it breaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from random import uniform
from threading import Event, Thread
from typing import Any

from trackside.outbox.wake import Waking

_log = logging.getLogger("trackside.outbox")
_RETRY_S = (1.0, 30.0)
"""After a round that failed: the first wait, and the longest."""


class Loop:
    """Calls `round` again and again on a thread of its own, until it is stopped."""

    def __init__(self, name: str, connect: Callable[[], Any], round: Callable[[Any], bool], every_s: float) -> None:
        """`round` gets a connection and says whether there may be more to do at once. `every_s` is between rounds that
        found nothing."""
        self.name = name
        self.every_s = every_s
        self.wake_on: str = ""
        """On Postgres, the channel whose notifications begin the next round at once."""
        self.on_end: Callable[[Any], object] = lambda connection: None
        """After the last round, when it ends in order."""
        self._connect = connect
        self._round = round
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        """Once; again after `stop`."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = Thread(target=self.run, name=f"trackside-{self.name}", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Whether its last round has ended in that time."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def run(self) -> None:
        """On the calling thread, until it is stopped from another."""
        failures = 0
        connection: Any = None
        waking: Waking | None = None
        while not self._stopping.is_set():
            try:
                if connection is None or waking is None:
                    connection = self._connect()
                    waking = Waking(connection, self.wake_on)
                is_busy = self._round(connection)
                failures = 0
                if not is_busy:
                    # Never all at the same moment.
                    waking.wait(self.every_s * uniform(0.9, 1.0), self._stopping)
            except Exception as error:  # noqa: BLE001 - a database that restarts must not end the work for good
                failures += 1
                # Each time would fill the log of a night; what goes on is shown by the metrics.
                if failures & (failures - 1) == 0:
                    _log.warning("%s failed %d times in a row: %s", self.name, failures, error)
                _close(connection)
                connection = waking = None
                self._stopping.wait(min(_RETRY_S[1], _RETRY_S[0] * 2 ** min(failures - 1, 10)) * uniform(0.75, 1.0))
        if connection is not None:
            with suppress(Exception):
                self.on_end(connection)
        _close(connection)


def _close(connection: Any) -> None:
    if connection is not None:
        with suppress(Exception):
            connection.close()
