"""Does what a queue holds: a handler for each kind of work."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from secrets import token_hex
from threading import Event, Thread
from time import perf_counter
from typing import Any

from trackside.outbox.loop import Loop
from trackside.outbox.work_metrics import WorkMetrics
from trackside.outbox.work_queue import CHANNEL, Claimed, WorkQueue

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.monitor import Monitor

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
        is looked at. `lease_s`: after a worker's death its work is taken up by another when that is over; a handler may
        take longer, the lease is renewed while it runs."""
        self.queue = queue
        self.handlers = handlers
        self.lease_s = lease_s
        # Host and process are for people; two workers of one process differ by the rest.
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{token_hex(2)}"
        self._monitor = monitor
        self._metrics = WorkMetrics.of(monitor)
        self._beat = None if monitor is None else monitor.beat(f"{queue.name}-worker", every=max(every_s, 1.0))
        self._loop = Loop(f"{queue.name}-worker", queue.connect, self._round, every_s)
        self._loop.wake_on = CHANNEL if queue.notify else ""
        self.start, self.stop, self.run = self._loop.start, self._loop.stop, self._loop.run

    def work_off(self, limit: int | None = None) -> int:
        """Do what is due now, on the calling thread, and come back. How much it was."""
        done = 0
        with closing(self.queue.connect()) as connection:
            while (limit is None or done < limit) and self._round(connection):
                done += 1
        return done

    def _round(self, connection: Any) -> bool:
        claimed = self.queue.claim(connection, self.name, 1, self.lease_s)
        if self._beat is not None:
            self._beat()
        for work in claimed:
            self._metrics.claimed(work)
            if self._loop.is_stopping:
                self.queue.give_back(connection, work)
            else:
                self._do(connection, work)
        return bool(claimed)

    def _do(self, connection: Any, work: Claimed) -> None:
        handler = self.handlers.get(work.kind)
        measured = nullcontext() if self._monitor is None else self._monitor.job(work.kind, queue=work.queue)
        error = None
        began_s = perf_counter()
        with _Renewing(self, work):
            try:
                with measured:
                    if handler is None:
                        known = ", ".join(sorted(self.handlers)) or "none"
                        raise LookupError(f"no handler for {work.kind!r} here; there are: {known}")
                    handler(work)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is the failure of this attempt
                error = f"{type(failure).__name__}: {failure}"
        took_s = perf_counter() - began_s
        if error is not None:
            outcome = self.queue.fail(connection, work, error)
        else:
            outcome = "succeeded" if self.queue.finish(connection, work) else "stale"
        self._metrics.ended(work, outcome, took_s)


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
        # Most work is over before it makes a connection.
        if self._over.wait(lease_s / 3):
            return
        queue = self._worker.queue
        while True:
            try:
                with closing(queue.connect()) as connection:
                    while queue.renew(connection, self._work, lease_s):
                        if self._over.wait(lease_s / 3):
                            return
                    return
            except Exception:  # noqa: BLE001 - the database is away: as long as the lease holds there is hope
                if self._over.wait(min(1.0, lease_s / 10)):
                    return
