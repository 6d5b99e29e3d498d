"""Worker classes for RQ's command line: `rq worker -w trackside.rq.Worker high default`.

They are RQ's own, watched by a monitor that reads the environment: TRACKSIDE_URL and TRACKSIDE_KEY say where to report
to. A subclass may have a monitor of the application's own:

    class Worker(trackside.rq.Worker):
        monitor = my_app.monitor
"""

from __future__ import annotations

from typing import Any, ClassVar

import rq
from rq import worker as _workers

from trackside.sdk.monitor import Monitor


class _Watched:
    monitor: ClassVar[Monitor | None] = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        (self.monitor or Monitor("rq")).watch(self)


class Worker(_Watched, rq.Worker):
    """A work-horse for each job: one that is killed is reported too, with its CPU time and memory."""


class SimpleWorker(_Watched, rq.SimpleWorker):
    """Runs jobs in its own process."""


class SpawnWorker(_Watched, getattr(_workers, "SpawnWorker", rq.Worker)):  # type: ignore[misc]
    """Work-horses that are not forked. Where RQ is older than these, they are."""
