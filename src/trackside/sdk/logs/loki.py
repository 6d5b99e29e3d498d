"""Sends lines to Loki, or to a Trackside server, from a thread of its own: bounded, and no line waits for it."""

from __future__ import annotations

import atexit
import gzip
import json
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Condition, Thread
from typing import NamedTuple

from trackside.sdk.push.destination import Destination
from trackside.sdk.push.outbox import Outbox
from trackside.sdk.push.transport import Post, post

PATH = "/loki/api/v1/push"
MAX_WAITING = 10_000
"""Lines not yet packed. Beyond it the oldest go: what happens now is what one will ask for."""
MAX_BATCH = 2_000
"""Lines in one request."""
INTERVAL_S = 1.0
FLUSH_TIMEOUT_S = 3.0
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
        self._labels = {name: value for name, value in labels.items() if value}
        self._count = count
        self._post = post
        self._contexts: set[str] = set()
        self._outbox = Outbox(to, lambda outcome: count(outcome, 1))
        self._begin()
        self._registered = False

    def _begin(self) -> None:
        self._entries: deque[Entry] = deque()
        self._condition = Condition()
        self._thread: Thread | None = None
        self._asked = self._answered = 0

    def add(self, when_s: float, level: str, context: str, line: str) -> None:
        entries = self._entries
        entries.append(Entry(int(when_s * 1e9), level, context, line))
        if len(entries) > MAX_WAITING:
            try:
                entries.popleft()
            except IndexError:
                return
            self._count("dropped", 1)
        if self._thread is None:
            self._start()

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """Whether everything was tried within the time; it may not have been taken."""
        if self._thread is None:
            if not self._entries:
                return True
            self._start()
        until_s = time.monotonic() + timeout_s
        with self._condition:
            self._asked += 1
            asked = self._asked
            self._condition.notify_all()
            while self._answered < asked and time.monotonic() < until_s:
                self._condition.wait(max(0.0, until_s - time.monotonic()))
            return self._answered >= asked

    def round(self, *, at_once: bool = False) -> None:
        """Pack what waits, and send."""
        while self._entries:
            # Not more than the outbox holds: what is packed is beyond the bound of the lines.
            self._outbox.add(self._packed(self._taken()))
        self._outbox.ship(self._post, time.monotonic, at_once=at_once)

    def _taken(self) -> list[Entry]:
        taken: list[Entry] = []
        while self._entries and len(taken) < MAX_BATCH:
            taken.append(self._entries.popleft())
        return taken

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

    def _start(self) -> None:
        with self._condition:
            if self._thread is None:
                self._register()
                thread = Thread(target=self._loop, args=(self._condition,), name="trackside-logs", daemon=True)
                self._thread = thread
                thread.start()

    def _loop(self, condition: Condition) -> None:
        while condition is self._condition:
            with condition:
                if self._asked == self._answered:
                    condition.wait(INTERVAL_S)
                asked = self._asked
            try:
                self.round(at_once=asked > self._answered)
            except Exception:  # noqa: BLE001 - a thread that ends would send nothing ever again, and logging it logs
                self._count("failed", 1)
            with condition:
                self._answered = asked
                condition.notify_all()

    def _register(self) -> None:
        if self._registered:
            return
        self._registered = True
        mine = weakref.ref(self)

        def flush() -> None:
            push = mine()
            if push is not None:
                push.flush()

        def begin() -> None:
            push = mine()
            if push is not None:
                # The parent sends what waited; the child's first line starts a thread of its own.
                push._begin()
                push._outbox.clear()

        atexit.register(flush)
        os.register_at_fork(after_in_child=begin)
