"""The seam between job back-ends and everything that is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample

MAX_RUNNING = 500
MAX_FINISHED = 5_000
"""In one sample."""
MAX_SEARCHED = 100_000
"""Newest jobs that a search without an index looks at."""


class Measure(Enum):
    """What a back-end may know exactly, or not at all."""

    DEPTH = "depth"
    OLDEST = "oldest"
    RUNNING = "running"
    WORKERS = "workers"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    TRACEBACK = "traceback"


class JobSource(Protocol):
    """A back-end, read-only. Called by one thread at a time, and never from an event loop: it blocks.

    It reads raw keys and rows under read-only credentials: the job libraries' own readers clean up while they count.
    Each call is bounded in what it asks for, however full the queues are.
    """

    @property
    def backend(self) -> str:
        """ "rq", "celery", "postgres" …"""
        ...

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]: ...

    def sample(self, cursor: Any = None) -> JobsSample:
        """Everything now, and what has ended since `cursor`: that of the sample before, even one of another process.
        None, or one that makes no sense: begin anew.

        Raises:
            SourceError: in a sentence for whoever runs the back-end.
        """
        ...

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        """Newest first. `after` is a page's `next`.

        Raises:
            SourceError: as above.
        """
        ...

    def get(self, id: str) -> JobDetail | None:
        """None: there is no such job (any more).

        Raises:
            SourceError: as above.
        """
        ...

    def close(self) -> None: ...
