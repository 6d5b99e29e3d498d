"""Does what a queue holds: a handler for each kind of work."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from secrets import token_hex
from threading import Event, Thread
from time import perf_counter
from typing import Any

from trackside.outbox.loop import Loop
from trackside.outbox.presence import LATE_S, Presence
from trackside.outbox.work_metrics import WorkMetrics
from trackside.outbox.work_queue import CHANNEL, Claimed, WorkQueue
from trackside.sdk.job_metrics import JobMetrics

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.jobs import Job
    from trackside.sdk.monitor import Monitor

_TIDY_EVERY_S = 60.0
_TIDIED_AT_ONCE = 1_000

Handler = Callable[[Claimed], object]


class Worker:
    """One at a time; several of them, in threads or processes, do several. `start()` it, or `run()` it here."""

    def __init__(
        self,
        queue: WorkQueue,
        handlers: Mapping[str, Handler],
        *,
        monitor: Monitor | None = None,
        every_s: float = 1.0,
        lease_s: float = 60.0,
        name: str = "",
    ) -> None:
        """`handlers` by kind of work; what they raise is the failure of an attempt. `every_s`: how often an empty queue
        is looked at, every 20 s at the least. `lease_s`: after a worker's death its work is taken up by another when
        that is over; a handler may take longer, the lease is renewed while it runs. `name`: of its beat, in sentences
        for people."""
        every_s = min(every_s, LATE_S / 3)
        self.queue = queue
        self.handlers = handlers
        self.lease_s = lease_s
        self.name = name or f"{queue.name}-worker"
        # Host and process are for people; two workers of one process differ by the rest.
        self.id = f"{socket.gethostname()}-{os.getpid()}-{token_hex(2)}"
        self.presence = Presence(queue.table, queue.name, self.id, max(min(lease_s, LATE_S), 3 * every_s))
        self._monitor = monitor
        self._metrics = WorkMetrics.of(monitor)
        self._metrics.begin(queue.name)
        self._beat = None if monitor is None else monitor.beat(self.name, every=self.presence.patience_s / 3)
        self._tidy_s = 0.0
        """By the monotonic clock: not before."""
        self._loop = Loop(self.name, queue.connect, self._round, every_s)
        self._loop.on_end = self.presence.leave
        self._loop.wake_on = CHANNEL if queue.notify else ""
        self.start, self.stop, self.run = self._loop.start, self._loop.stop, self._loop.run

    def work_off(self, limit: int | None = None) -> int:
        """Do what is due now, on the calling thread, and come back. How much it was."""
        done = 0
        with closing(self.queue.connect()) as connection:
            try:
                while (limit is None or done < limit) and self._take(connection):
                    done += 1
                self._tidy(connection)
            finally:
                self.presence.leave(connection)
        return done

    def is_alive(self, connection: Any) -> None:
        """Tell so; also while a handler runs for long."""
        self.presence.say(connection)
        if self._beat is not None:
            self._beat()

    def _round(self, connection: Any) -> bool:
        return self._take(connection) or self._tidy(connection)

    def _take(self, connection: Any) -> bool:
        self.is_alive(connection)
        claimed = self.queue.claim(connection, self.id, 1, self.lease_s)
        for work in claimed:
            self._metrics.claimed(work)
            if self._loop.is_stopping:
                self.queue.give_back(connection, work)
            else:
                self._do(connection, work)
        return bool(claimed)

    def _tidy(self, connection: Any) -> bool:
        """Now and then, when there is nothing else to do. Whether there is more of it."""
        keep_s, now_s = self.queue.keep_s, time.monotonic()
        if keep_s is None or now_s < self._tidy_s:
            return False
        is_more = self.queue.forget(connection, keep_s, _TIDIED_AT_ONCE) == _TIDIED_AT_ONCE
        self._tidy_s = now_s + (0.0 if is_more else _TIDY_EVERY_S)
        return is_more

    def _do(self, connection: Any, work: Claimed) -> None:
        error = None
        began_s = perf_counter()
        with _Renewing(self, work):
            try:
                self._handle(work)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is the failure of this attempt
                error = f"{type(failure).__name__}: {failure}"
        took_s = perf_counter() - began_s
        if error is not None:
            outcome = self.queue.fail(connection, work, error)
        else:
            outcome = "succeeded" if self.queue.finish(connection, work) else "stale"
        self._metrics.ended(work, outcome, took_s)

    def _handle(self, work: Claimed) -> None:
        with self._measured(work) as job:
            try:
                handler = self.handlers.get(work.kind)
                if handler is None:
                    known = ", ".join(sorted(self.handlers)) or "none"
                    raise LookupError(f"no handler for {work.kind!r} here; there are: {known}")
                handler(work)
            except Exception:
                if job is not None and work.attempt < work.max_attempts:
                    job.will_be_retried()
                raise

    def _measured(self, work: Claimed) -> Job | nullcontext[None]:
        if self._monitor is None:
            return nullcontext()
        if self._monitor.enabled:
            # Only the queue knows since when it was due.
            JobMetrics.of(self._monitor.context).cell(work.kind, work.queue).waits.observe(work.waited_s)
        return self._monitor.job(work.kind, queue=work.queue, id=str(work.id), attempt=work.attempt)


class _Renewing:
    """While the handler runs. On a connection of its own: the worker's is with the worker's thread."""

    def __init__(self, worker: Worker, work: Claimed) -> None:
        self._worker = worker
        self._work = work
        self._over = Event()
        self._thread = Thread(target=self._run, name=f"trackside-lease-{work.id}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        lease_s = self._worker.lease_s
        every_s = min(lease_s, self._worker.presence.patience_s) / 3
        # Most work is over before it makes a connection.
        if self._over.wait(every_s):
            return
        queue = self._worker.queue
        while True:
            try:
                with closing(queue.connect()) as connection:
                    while queue.renew(connection, self._work, lease_s):
                        self._worker.is_alive(connection)
                        if self._over.wait(every_s):
                            return
                    return
            except Exception:  # noqa: BLE001 - the database is away: as long as the lease holds there is hope
                if self._over.wait(min(1.0, lease_s / 10)):
                    return
