"""Sends lines to Loki, or to a Trackside server, from a thread of its own: bounded, and no line waits for it."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from trackside.sdk.push.background import Background, Wait
from trackside.sdk.push.backlog import Backlog
from trackside.sdk.push.destination import Destination
from trackside.sdk.push.outbox import DROPPED, FAILED, Outbox
from trackside.sdk.push.transport import Post, post

PATH = "/loki/api/v1/push"
MAX_BATCH = 2_000
"""Lines in one request."""
MAX_BATCH_CHARACTERS = 1024 * 1024
"""Of them: receivers refuse requests of several megabytes."""
INTERVAL_S = 1.0
MAX_CONTEXTS = 100
"""Loggers that are streams of their own; the lines of further ones share a stream."""
OTHER_CONTEXT = "(other)"

Count = Callable[[str, int], None]
"""Of an outcome ("sent", "dropped", "refused", "failed") and how many: lines that were dropped, else requests."""


class Entry(NamedTuple):
    when_ns: int
    level: str
    context: str
    line: str


def destination(url: str, key: str = "") -> Destination:
    """`url` with or without the path of the push; name and password may stand in it, or `key` is a bearer token.

    Raises:
        ValueError: no URL of a web server.
    """
    if PATH not in url:
        url = url.rstrip("/") + PATH
    found = Destination.of("loki", url, password=key)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", **found.headers}
    return replace(found, headers=headers)


class LokiPush:
    def __init__(self, to: Destination, labels: Mapping[str, str], count: Count, post: Post = post) -> None:
        """`labels` are those of every stream, which has level and context too."""
        self.destination = to
        self._labels = {name: value for name, value in labels.items() if value}
        self._count = count
        self._post = post
        self._contexts: set[str] = set()
        self._entries: Backlog[Entry] = Backlog(lambda entry: len(entry.line), lambda dropped: count(DROPPED, dropped))
        self._outbox = Outbox(to, lambda outcome: count(outcome, 1))
        self._background = Background(self, "trackside-logs")

    def add(self, when_s: float, level: str, context: str, line: str) -> None:
        self._entries.add(Entry(int(when_s * 1e9), level, context, line))
        self._background.hold(self)

    def ask(self) -> Wait:
        return self._background.ask()

    def stop(self) -> None:
        """What waits is tried once more, without anybody waiting for that."""
        self._background.ask()
        self._background.end()

    def round(self, *, at_once: bool = False) -> None:
        """Pack what waits, and send."""
        while self._entries:
            # Not more than the outbox holds: what is packed is beyond the bound of the lines.
            self._outbox.add(self._packed(self._taken()))
        self._outbox.ship(self._post, time.monotonic, at_once=at_once)

    def wait_s(self) -> float:
        return INTERVAL_S

    def holds(self) -> bool:
        return bool(self._entries) or bool(self._outbox)

    def failed(self, error: Exception) -> None:
        # Counted only: a line about lines that cannot be sent would be one more of them.
        self._count(FAILED, 1)

    def in_child(self, *, ran: bool) -> None:
        # The child's first line starts a thread of its own.
        self._entries.clear()
        self._outbox.clear()

    def _taken(self) -> list[Entry]:
        first = self._entries.take()
        room = MAX_BATCH_CHARACTERS - sum(len(entry.line) for entry in first)
        return first + self._entries.take(MAX_BATCH - len(first), room)

    def _packed(self, entries: list[Entry]) -> bytes:
        streams: dict[tuple[str, str], list[object]] = {}
        for when_ns, level, context, line in entries:
            streams.setdefault((level, self._known(context)), []).append([str(when_ns), line])
        listed: list[dict[str, object]] = [
            {"stream": {**self._labels, "level": level, "context": context}, "values": values}
            for (level, context), values in streams.items()
        ]
        body = json.dumps({"streams": listed}, ensure_ascii=False)
        return gzip.compress(body.encode("utf-8", "replace"), compresslevel=1)

    def _known(self, context: str) -> str:
        if context not in self._contexts:
            if len(self._contexts) >= MAX_CONTEXTS:
                return OTHER_CONTEXT
            self._contexts.add(context)
        return context
