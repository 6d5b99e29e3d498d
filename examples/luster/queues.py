"""Which kind of job goes by which queue, and by which back-end: RQ where there is a Redis, else the table of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from redis import Redis
from rq import Queue, Retry
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as OrmSession

from luster import work
from luster.database import Job, Session, engine, now
from luster.monitoring import monitor
from luster.settings import LEASE_S, REDIS_URL, RETRY_AFTER_S
from luster.tracing import carrier

IMAGES = "images"
"""The queue whose jobs are written together with their image, in one transaction: always the table's."""
RQ_QUEUES = ("high", "default", "low")
QUEUE_OF = {"render": IMAGES, "caption": "high", "shrink": "default", "export": "low"}
FUNCTIONS: Mapping[str, Callable[..., float | None]] = {
    "render": work.render,
    "caption": work.caption,
    "shrink": work.shrink,
    "export": work.export,
}
MAX_ATTEMPTS = 2

_redis = monitor.watch(Redis.from_url(REDIS_URL)) if REDIS_URL else None
_queues = {} if _redis is None else {name: monitor.watch(Queue(name, connection=_redis)) for name in RQ_QUEUES}
TABLE_QUEUES = (IMAGES,) if _queues else (IMAGES, *RQ_QUEUES)


def enqueue(kind: str, payloads: Iterable[Mapping[str, Any]]) -> int:
    """One job for each payload; how many that are."""
    queue = QUEUE_OF[kind]
    if queue not in _queues:
        with Session.begin() as session:
            return len([enqueue_in(session, kind, payload) for payload in payloads])
    retry = Retry(max=MAX_ATTEMPTS - 1, interval=max(1, round(RETRY_AFTER_S)))
    jobs = [_queues[queue].enqueue(FUNCTIONS[kind], kwargs=dict(payload), retry=retry) for payload in payloads]
    return len(jobs)


def enqueue_in(session: OrmSession, kind: str, payload: Mapping[str, Any]) -> Job:
    """In a transaction that is under way: the job is there if, and only if, the rest of it is."""
    job = Job(queue=QUEUE_OF[kind], kind=kind, payload=dict(payload), max_attempts=MAX_ATTEMPTS, trace=carrier())
    session.add(job)
    return job


def claimed(worker: str) -> Job | None:
    """The next job of the table, which is then this worker's for a minute. One whose worker died comes first."""
    at = now()
    is_due = (Job.status == "queued") & (Job.run_at <= at)
    is_abandoned = (Job.status == "processing") & (Job.lease_until < at)
    next_one = (
        select(Job.id).where(Job.queue.in_(TABLE_QUEUES), is_due | is_abandoned).order_by(Job.run_at, Job.id).limit(1)
    )
    if engine.dialect.name == "postgresql":
        next_one = next_one.with_for_update(skip_locked=True)
    taken = {
        "status": "processing",
        "worker": worker,
        "started_at": at,
        "lease_until": at + timedelta(seconds=LEASE_S),
        "attempts": Job.attempts + 1,
    }
    # One statement, so that no other worker can take it between finding and taking.
    statement = update(Job).where(Job.id == next_one.scalar_subquery()).values(**taken).returning(Job)
    with Session.begin() as session:
        return session.scalars(statement, execution_options={"synchronize_session": False}).one_or_none()


def ended(job: Job, error: Exception | None, cost_usd: float | None = None) -> str:
    """Write how an attempt ended: "succeeded", "failed", or "queued" for another attempt later."""
    if error is None:
        status = "succeeded"
    else:
        status = "failed" if job.attempts >= job.max_attempts else "queued"
    at = now()
    values: dict[str, Any] = {
        "status": status,
        "error": None if error is None else f"{type(error).__name__}: {error}"[:2_000],
        "cost_usd": cost_usd,
        "lease_until": None,
    }
    values |= {"run_at": at + timedelta(seconds=RETRY_AFTER_S)} if status == "queued" else {"finished_at": at}
    # Only while it is still ours: after its lease another worker may have it.
    mine = update(Job).where(Job.id == job.id, Job.worker == job.worker, Job.attempts == job.attempts)
    with Session.begin() as session:
        session.execute(mine.values(**values))
    return status


def depths() -> dict[str, int]:
    """Jobs that are due and wait, by queue."""
    found = dict.fromkeys((IMAGES, *RQ_QUEUES), 0)
    waiting = select(Job.queue, func.count()).where(Job.status == "queued", Job.run_at <= now()).group_by(Job.queue)
    with Session() as session:
        found.update(session.execute(waiting).tuples().all())
    for name, queue in _queues.items():
        found[name] += queue.count
    return found


def redis_answers() -> None:
    """The health check of Redis; without RQ there is nothing to check."""
    if _redis is not None:
        _redis.ping()
