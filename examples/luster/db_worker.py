"""The worker that polls the table of jobs: `python -m luster.db_worker --port 9001`."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import time
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from luster import queues
from luster.database import Job, Session, Worker, create_tables, now
from luster.metrics_port import serve_metrics
from luster.monitoring import monitor
from luster.settings import POLL_EVERY_S
from luster.tracing import continued

BEAT_EVERY_S = 5.0


def run_one(worker: str) -> bool:
    """Take a job and do it. Whether there was one."""
    job = queues.claimed(worker)
    if job is None:
        return False
    error: Exception | None = None
    cost_usd = None
    try:
        with continued(job.trace, job.kind):
            cost_usd = _measured(job)
            _follow_up(job)
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is the failure of this attempt
        error = failure
    queues.ended(job, error, cost_usd)
    return True


def _measured(job: Job) -> float | None:
    """What the job cost, if it says so. By `id` and `source` the server joins what is reported to the row it sees."""
    with monitor.job(job.kind, job.queue, id=str(job.id), attempt=job.attempts, source="table") as attempt:
        try:
            return queues.FUNCTIONS[job.kind](**job.payload)
        except Exception:
            if job.attempts < job.max_attempts:
                attempt.will_be_retried()
            raise


def _follow_up(job: Job) -> None:
    """An image that has been drawn gets its caption; that is the same trace."""
    if job.kind == "render":
        queues.enqueue("caption", [{"image_id": job.payload["image_id"]}])


class Beats:
    """Says in the database, and in the metrics, that this worker lives."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._started_at = now()
        self._said_s = 0.0
        self._beat = monitor.beat("db-worker", every=BEAT_EVERY_S)

    def __call__(self) -> None:
        self._beat()
        if time.monotonic() - self._said_s >= BEAT_EVERY_S / 2:
            # "*" is every queue of the table.
            mine = Worker(name=self._worker, queue="*", beat_at=now(), started_at=self._started_at)
            with Session.begin() as session:
                session.merge(mine)
            self._said_s = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="for /metrics and /health")
    port = parser.parse_args().port
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    create_tables()
    serve_metrics(port)
    worker = f"sql-{socket.gethostname()}-{os.getpid()}"
    beats = Beats(worker)
    while not stopping.is_set():
        try:
            beats()
            is_busy = run_one(worker)
        except SQLAlchemyError:
            # A database that restarts; the beat that stays away says it.
            is_busy = False
        if not is_busy:
            stopping.wait(POLL_EVERY_S)


if __name__ == "__main__":
    main()
