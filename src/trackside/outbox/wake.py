"""A hint that there is work: Postgres' notifications, where there are some.

They are lost while a connection is made anew, and a pooler that hands connections out by transaction passes none on:
whoever waits looks by himself every so often, and a notification only makes it sooner.
"""

from __future__ import annotations

import time
from inspect import signature
from threading import Event
from typing import Any

from trackside.outbox.dialects import POSTGRES, dialect_of

_SLICE_S = 0.25
"""How long a shutdown waits for somebody who waits for a notification."""


class Waking:
    def __init__(self, connection: Any, channel: str) -> None:
        self._connection = connection
        self._listens = bool(channel) and dialect_of(connection) is POSTGRES and _can_wait(connection)
        if self._listens:
            connection.commit()
            before, connection.autocommit = connection.autocommit, True
            connection.execute(f"listen {channel}")
            connection.autocommit = before

    def wait(self, timeout_s: float, stopping: Event) -> None:
        """Until there is a hint, the time is over, or all of it ends."""
        if not self._listens:
            stopping.wait(timeout_s)
            return
        end_s = time.monotonic() + timeout_s
        # Notifications come between transactions only.
        self._connection.commit()
        before, self._connection.autocommit = self._connection.autocommit, True
        try:
            while not stopping.is_set() and (left_s := end_s - time.monotonic()) > 0:
                if list(self._connection.notifies(timeout=min(left_s, _SLICE_S), stop_after=1)):
                    return
        finally:
            self._connection.autocommit = before


def _can_wait(connection: Any) -> bool:
    """psycopg can wait for a notification and for a time since 3.2."""
    return "timeout" in signature(connection.notifies).parameters
