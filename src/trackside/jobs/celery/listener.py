"""Listens to what Celery's workers say, on a thread of its own; what is remembered of it is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from trackside.exceptions import SourceError
from trackside.jobs.celery.broker import Settings
from trackside.jobs.celery.messages import MAX_MESSAGE_BYTES, events, task_result
from trackside.jobs.celery.tasks import Tasks
from trackside.jobs.redis_store import RedisStore, text

_POLL_S = 0.5
_RETRY_S = 2.0


class Listener:
    """Its owner takes `lock` to read `tasks`."""

    def __init__(
        self, store: RedisStore, settings: Settings, tasks: Tasks, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.lock = threading.Lock()
        self.tasks = tasks
        self.error = ""
        """Why nothing is heard now; empty: we listen."""
        self.gaps = 0
        """How often the connection was lost."""
        self._store = store
        self._settings = settings
        self._monotonic = monotonic
        self._offset_ms: float | None = None
        self._is_closed = threading.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trackside-celery-events", daemon=True)
        self._thread.start()

    def wait_until_listening(self, timeout_s: float) -> bool:
        return self._listens.wait(timeout_s)

    def set_clock(self, now_ms: int) -> None:
        """Says what the time is by the back-end's clock; from then on it is counted here."""
        self._offset_ms = now_ms - self._monotonic() * 1000

    def now_ms(self) -> int:
        return round(self._monotonic() * 1000 + (self._offset_ms or 0))

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                self._listen()
            except self._store.lost as error:
                self.error = str(error) or type(error).__name__
            except SourceError as error:
                self.error = str(error)
            if not self._is_closed.is_set():
                self._listens.clear()
                self.gaps += 1
                self._is_closed.wait(_RETRY_S)

    def _listen(self) -> None:
        self.set_clock(self._store.now_ms())
        # A connection of its own: no other command may be sent on one that listens.
        subscription = self._store.client().pubsub(ignore_subscribe_messages=False)
        try:
            subscription.psubscribe(self._settings.events_pattern, self._settings.results_pattern)
            while not self._is_closed.is_set():
                message = subscription.get_message(timeout=_POLL_S)
                if message is None:
                    continue
                if message["type"] == "psubscribe":
                    self.error = ""
                    self._listens.set()
                elif message["type"] == "pmessage":
                    self._take(text(message["pattern"]), message["data"])
        finally:
            subscription.close()

    def _take(self, pattern: str, raw: object) -> None:
        if not isinstance(raw, bytes) or len(raw) > MAX_MESSAGE_BYTES or self._offset_ms is None:
            return
        now_ms = self.now_ms()
        if pattern == self._settings.events_pattern:
            found = events(raw)
            with self.lock:
                for event in found:
                    self.tasks.hear(event, now_ms)
            return
        result = task_result(raw)
        if result is not None:
            with self.lock:
                self.tasks.hear_result(result, now_ms)
