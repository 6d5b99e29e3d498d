"""The background tasks: a poller that queues sessions, and a publisher that publishes what is queued."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from prompt_backend import database
from prompt_backend.monitoring import counted, monitor
from prompt_backend.publishing import publish
from prompt_backend.settings import LEASE_S
from trackside.exceptions import UnhealthyError
from trackside.outbox.backoff import Backoff
from trackside.outbox.poller import Poller, Rows
from trackside.outbox.work_queue import Push, WorkQueue
from trackside.outbox.worker import Worker

POLLER, PUBLISHER = "session-poller", "outbox-publisher"
NAMES = (POLLER, PUBLISHER)
KIND = "publish_session"
_WAITS_TOO_LONG_S = 15.0

_log = logging.getLogger(__name__)

queue = WorkQueue(
    database.connect,
    "outbox",
    "outbox_jobs",
    Backoff(first_s=0.5, longest_s=60),
    keep_s=timedelta(days=7).total_seconds(),
)
_ACTIVE = Rows(
    "session",
    where="inbox_status = 'active'",
    mark="inbox_status = 'pending'",
    order="created_at",
    since="created_at",
)


class BackgroundTasks:
    """Each of them is known, whether or not it runs here: a task that nobody starts is the outage to be seen."""

    def __init__(self, here: Collection[str] = (), *, rest_is_elsewhere: bool = False) -> None:
        """`here`: those that `running` starts. The others are missing, unless they run in another process."""

        def monitor_of(name: str):  # type: ignore[no-untyped-def]
            return monitor if name in here or not rest_is_elsewhere else None

        self.here = [name for name in NAMES if name in here]
        self.poller = Poller(POLLER, queue, _ACTIVE, _push_of, monitor=monitor_of(POLLER))
        handlers = {KIND: counted(queue.name, KIND, publish)}
        self.publisher = Worker(queue, handlers, monitor=monitor_of(PUBLISHER), lease_s=LEASE_S, name=PUBLISHER)
        if rest_is_elsewhere and len(self.here) < len(NAMES):
            # Not critical: sessions can be created meanwhile, and are published when the other process is back.
            monitor.health.check("background tasks", self.check_elsewhere, critical=False)

    def check_elsewhere(self) -> None:
        """What the tables say of those that run in other processes.

        Raises:
            UnhealthyError: sessions wait for one of them.
        """
        with closing(database.connect()) as connection:
            lag_s = self.poller.lag_s(connection) or 0.0
            if lag_s > _WAITS_TOO_LONG_S:
                raise UnhealthyError(
                    f"{self.poller.waiting(connection)} sessions wait for {POLLER}, the oldest for {lag_s:.0f} s: "
                    "the process with --bg-tasks does not run"
                )
            if not queue.live_workers(connection):
                raise UnhealthyError(f"no {PUBLISHER} has said that it lives: the process with --bg-tasks does not run")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tables and figures in any case; and the tasks that belong here."""
        database.create_tables()
        queue.create()
        # Asked of the tables, so that they tell the most when nobody works.
        monitor.watch(queue)
        monitor.watch(self.poller)
        missing = [name for name in NAMES if name not in self.here]
        if missing:
            _log.warning("background tasks that are not started here: %s", ", ".join(missing))
        if POLLER in self.here:
            _log.info("starting %s, which checks every second", POLLER)
            self.poller.start()
        if PUBLISHER in self.here:
            _log.info("starting %s, worker %s", PUBLISHER, self.publisher.id)
            self.publisher.start()
        try:
            yield
        finally:
            for name, task in ((POLLER, self.poller), (PUBLISHER, self.publisher)):
                if not task.stop():
                    _log.warning(
                        "%s did not end in time; what it has in hands is taken up when its lease is over", name
                    )


def _push_of(row: tuple[str, ...]) -> Push:
    return Push(KIND, {"session_id": row[0]}, max_attempts=12)
