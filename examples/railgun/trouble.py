"""Somebody else who uses the same servers, badly: `python -m railgun.trouble --port 9001`, for the demo alone.

Reports that open connections to the database and never close them; attachments that are kept in Redis for ever.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any, Protocol

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from railgun.health_port import serve_health
from railgun.incidents import CONNECTIONS, MEMORY, Incident

_OF_CONNECTIONS, _OF_MEMORY = 0.95, 0.93
"""How much of what there may be is taken."""
_LOOKS_EVERY_S = 0.5
_ATTACHMENT, _ATTACHMENT_TAKES = b"\x89PNG" * 65_000, 1 << 18
"""The latter: bytes of memory."""
_KEEPS = "attachments:{}"
_COUNT = "select count(*), current_setting('max_connections')::int from pg_stat_activity where state is not null"


class Trouble(Protocol):
    incident: Incident

    def make(self) -> None:
        """As long as it goes on."""
        ...

    def end(self) -> None:
        """Does nothing when there is none."""
        ...


class LeakedConnections:
    incident = CONNECTIONS

    def __init__(self, url: str) -> None:
        self._connect: Callable[[], Any] = lambda: psycopg.connect(url, autocommit=True, application_name="reports")
        self._open: list[Any] = []

    def make(self) -> None:
        if not self._open:
            self._open.append(self._connect())
        used, most = self._open[0].execute(_COUNT).fetchone()
        for _ in range(int(most * _OF_CONNECTIONS) - used):
            self._open.append(self._connect())

    def end(self) -> None:
        while self._open:
            self._open.pop().close()


class KeptAttachments:
    incident = MEMORY

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(url)
        self._kept = 0

    def make(self) -> None:
        memory = self._redis.info("memory")
        room = memory["maxmemory"] * _OF_MEMORY - memory["used_memory"]
        for _ in range(int(room // _ATTACHMENT_TAKES)):
            self._redis.set(_KEEPS.format(self._kept), _ATTACHMENT)
            self._kept += 1

    def end(self) -> None:
        if self._kept:
            self._redis.unlink(*(_KEEPS.format(number) for number in range(self._kept)))
        self._kept = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="for /health")
    options = parser.parse_args()
    troubles: list[Trouble] = []
    # Only servers that the demo has started itself: nobody wants to see this happen in a database of theirs.
    if url := os.environ.get("OWN_POSTGRES_URL"):
        troubles.append(LeakedConnections(url))
    if url := os.environ.get("OWN_REDIS_URL"):
        troubles.append(KeptAttachments(url))
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    serve_health(options.port, lambda: None)
    while not stopping.wait(_LOOKS_EVERY_S):
        for trouble in troubles:
            with suppress(psycopg.Error, RedisError, OSError):
                trouble.make() if trouble.incident.is_on_now() else trouble.end()


if __name__ == "__main__":
    logging.basicConfig()
    main()
