"""One look at RQ: three round trips, a fourth when a worker has come and gone since the last look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from trackside.jobs.redis_store import RedisStore, text, time_ms
from trackside.jobs.rq.attempts import failure_line
from trackside.jobs.rq.cursor import Cursor, WorkerBefore, cursor_of
from trackside.jobs.rq.ended import EndedSince
from trackside.jobs.rq.job_hash import FIELDS, JobHash, epoch_ms, job_hash
from trackside.jobs.rq.keys import Keys
from trackside.jobs.rq.payload import function_names
from trackside.jobs.rq.rate_limits import RateLimits
from trackside.jobs.rq.running import Running, longest_first
from trackside.jobs.rq.schedules import Schedules
from trackside.jobs.rq.workers import WorkerHash, ended_since, hash_of, skew_s, worker_now
from trackside.jobs.source import MAX_FINISHED, MAX_RUNNING
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow, WorkerNow

MAX_QUEUES = 1_000
MAX_WORKERS = 5_000
# Jobs put in front of the others are younger than those behind them.
_HEADS = 5
# A scheduler looks every second, and another one takes over from one that died.
_SCHEDULER_LATE_MS = 60_000
_COUNTED = {
    "scheduled": JobState.SCHEDULED,
    "deferred": JobState.BLOCKED,
    "ready": JobState.QUEUED,
    "finished": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
}
_NOTES = (
    "RQ keeps no trace of a failed attempt that will be tried again: a hook in the worker does.",
    "RQ keeps a finished job for its result_ttl, 500 s unless told otherwise: those kept for less than the time "
    "between two looks are counted, and not seen one by one.",
)


@dataclass(slots=True)
class _Queue:
    name: str
    counts: dict[JobState, int]
    heads: list[str]
    running: list[tuple[bytes, float]]
    running_size: int
    sizes: dict[str, int]
    taken: int
    overdue_ms: int | None
    """Since when a scheduled job is due, and nobody has put it into its queue."""


@dataclass(slots=True)
class Look:
    store: RedisStore
    keys: Keys
    at_ms: int = 0
    notes: list[str] = field(default_factory=lambda: list(_NOTES))
    schedules: Schedules = field(init=False)
    limits: RateLimits = field(init=False)

    def __post_init__(self) -> None:
        self.schedules = Schedules(self.keys)
        self.limits = RateLimits(self.keys)

    def sample(self, cursor: Any) -> JobsSample:
        before = cursor_of(cursor)
        queue_names, worker_names, is_suspended = self._names()
        last = before or Cursor(at_ms=self.at_ms)
        ended = EndedSince(self.keys, queue_names, last, self.at_ms)
        known = sorted({*worker_names, *last.workers})
        queues, workers, found_schedules = self._state(queue_names, known, ended)
        running, heads, limited = self._jobs(queues, ended)
        finished = self._finished(ended) if before else []
        workers |= self._unknown_workers(finished, workers)
        now = self._workers(worker_names, workers, running, last)
        throughput = ended_since(list(workers.values()), last.workers, finished) if before else ()
        for read in (*(read for found in heads.values() for read in found), *(one.read for one in running)):
            if read is not None:
                ended.know(self.keys.of("finished", read.job.queue), read.result_ttl_s)
                ended.know(self.keys.of("failed", read.job.queue), read.failure_ttl_s)
        for queue in queues:
            queue.counts[JobState.BLOCKED] += limited[queue.name]
        if ended.is_cut:
            self.notes.append(f"More than {MAX_FINISHED} jobs ended since the last look: only those are shown.")
        return JobsSample(
            at_ms=self.at_ms,
            queues=tuple(self._queue_now(queue, heads[queue.name], running, is_suspended) for queue in queues),
            workers=now,
            running=longest_first(running, self.at_ms),
            finished=tuple(finished),
            ended=throughput,
            schedules=found_schedules,
            cursor=Cursor(
                at_ms=self.at_ms,
                workers=_workers_before(workers, now, last, self.at_ms),
                seen=ended.seen(),
                lifetimes_s=ended.lifetimes_s,
                sizes={self.keys.of(name, queue.name): size for queue in queues for name, size in queue.sizes.items()},
            ).as_json(),
            notes=tuple(self.notes),
        )

    def _names(self) -> tuple[tuple[str, ...], list[str], bool]:
        asked = self.store.pipeline()
        asked.time()
        asked.smembers(self.keys.of("queues"))
        asked.smembers(self.keys.of("workers"))
        asked.exists(self.keys.of("suspended"))
        self.schedules.ask_names(asked)
        self.limits.ask_names(asked)
        answers = iter(self.store.answers(asked))
        self.at_ms = time_ms(next(answers))
        queues = sorted(self.keys.name_in("queue", key) for key in next(answers) or ())
        workers = sorted(self.keys.name_in("worker", key) for key in next(answers) or ())
        is_suspended = bool(next(answers))
        self.schedules.take_names(answers)
        self.limits.take_names(answers)
        if len(queues) > MAX_QUEUES or len(workers) > MAX_WORKERS:
            self.notes.append(f"Only the first {MAX_QUEUES} queues and {MAX_WORKERS} workers are looked at.")
        return tuple(queues[:MAX_QUEUES]), workers[:MAX_WORKERS], is_suspended

    def _state(
        self, queues: tuple[str, ...], workers: list[str], ended: EndedSince
    ) -> tuple[list[_Queue], dict[str, WorkerHash], Any]:
        asked = self.store.pipeline()
        for queue in queues:
            asked.llen(self.keys.queue(queue))
            asked.llen(self.keys.intermediate(queue))
            asked.lrange(self.keys.queue(queue), 0, _HEADS - 1)
            due_s = (self.at_ms - _SCHEDULER_LATE_MS) / 1000
            asked.zrangebyscore(self.keys.of("scheduled", queue), "-inf", due_s, start=0, num=1, withscores=True)
            asked.zcard(self.keys.of("wip", queue))
            asked.zrange(self.keys.of("wip", queue), 0, MAX_RUNNING - 1, withscores=True)
            for registry in _COUNTED:
                asked.zcard(self.keys.of(registry, queue))
        for worker in workers:
            self._ask_worker(asked, worker)
        self.schedules.ask(asked)
        self.limits.ask_ids(asked)
        ended.ask(asked)
        answers = iter(self.store.answers(asked))
        found = [_queue(queue, answers) for queue in queues]
        hashes = {worker: hash_of(worker, [next(answers) for _ in range(3)]) for worker in workers}
        found_schedules = self.schedules.take(answers)
        self.limits.take_ids(answers)
        ended.take(answers)
        return found, hashes, found_schedules

    def _ask_worker(self, asked: Any, name: str) -> None:
        asked.hgetall(self.keys.worker(name))
        asked.pttl(self.keys.worker(name))
        asked.smembers(self.keys.of("worker", name, "executions"))

    def _jobs(
        self, queues: list[_Queue], ended: EndedSince
    ) -> tuple[list[Running], dict[str, list[JobHash | None]], Counter[str]]:
        running = [Running(text(member), score) for queue in queues for member, score in queue.running]
        running = sorted(running, key=lambda one: one.score)[:MAX_RUNNING]
        asked = self.store.pipeline()
        for queue in queues:
            for id in queue.heads:
                asked.hmget(self.keys.job(id), FIELDS)
        for one in running:
            asked.hmget(self.keys.job(one.id), FIELDS)
            asked.pttl(self.keys.execution(one.member))
        for entry in ended.probes:
            asked.hmget(self.keys.job(entry.id), FIELDS)
        self.limits.ask_queues(asked)
        ended.ask_jobs(asked, ended.entries)
        answers = iter(self.store.answers(asked))
        heads = {queue.name: [job_hash(id, next(answers)) for id in queue.heads] for queue in queues}
        for one in running:
            one.read = job_hash(one.id, next(answers))
            left_ms = next(answers)
            one.left_ms = left_ms if isinstance(left_ms, int) else -2
        for entry in ended.probes:
            read = job_hash(entry.id, next(answers))
            if read is not None:
                ended.learn(entry, read)
        limited = self.limits.take_queues(answers)
        ended.take_jobs(answers, ended.entries)
        self._learnt(ended)
        return running, heads, limited

    def _learnt(self, ended: EndedSince) -> None:
        """Reads the ranges of lifetimes that were not known when this look began; mostly there are none."""
        asked = self.store.pipeline()
        ended.ask_new(asked)
        entries = ended.take_new(iter(self.store.answers(asked)))
        asked = self.store.pipeline()
        ended.ask_jobs(asked, entries)
        ended.take_jobs(iter(self.store.answers(asked)), entries)

    def _finished(self, ended: EndedSince) -> list[Job]:
        found: dict[str, Job] = {}
        described = [one.entry.id for one in ended.found if one.read.is_described]
        names = function_names(self.store, self.keys, described)
        for one in ended.found:
            entry, read = one.entry, one.read
            if not read.job.state.is_final:
                # Enqueued again since.
                continue
            worker, error = failure_line(one.results)
            found[entry.id] = replace(
                read.job,
                kind=names.get(entry.id) or read.job.kind,
                finished_ms=read.job.finished_ms or entry.added_ms,
                worker=read.job.worker or worker or None,
                error=error,
            )
        return sorted(found.values(), key=lambda job: (job.finished_ms or 0, job.id))

    def _unknown_workers(self, finished: list[Job], known: dict[str, WorkerHash]) -> dict[str, WorkerHash]:
        """Those that ended jobs, came and went since the last look: their counters are kept for a minute."""
        names = sorted({job.worker for job in finished if job.worker} - known.keys())
        asked = self.store.pipeline()
        for name in names:
            self._ask_worker(asked, name)
        answers = iter(self.store.answers(asked))
        return {name: hash_of(name, [next(answers) for _ in range(3)]) for name in names}

    def _workers(
        self, names: list[str], hashes: dict[str, WorkerHash], running: list[Running], last: Cursor
    ) -> tuple[WorkerNow, ...]:
        measured: dict[str, float] = {}
        for one in running:
            skew = one.skew_s(self.at_ms)
            if skew is not None and one.read is not None and one.read.job.worker:
                measured[one.read.job.worker] = skew
        return tuple(
            worker_now(
                hashes[name],
                last.workers.get(name),
                skew_s(hashes[name], measured.get(name), last.workers.get(name), self.at_ms),
                self.at_ms,
            )
            for name in names
        )

    def _queue_now(
        self, queue: _Queue, heads: list[JobHash | None], running: list[Running], is_suspended: bool
    ) -> QueueNow:
        counts = dict(queue.counts)
        if queue.running_size <= len(queue.running):
            members = {text(member) for member, _ in queue.running}
            counts[JobState.RUNNING] = len({one.id for one in running if one.member in members and one.is_running})
        if queue.overdue_ms is not None:
            self.notes.append(
                f"Queue {queue.name}: a scheduled job is due for {(self.at_ms - queue.overdue_ms) // 1000} s, and no "
                f"scheduler has put it into its queue. Start a worker with --with-scheduler."
            )
        ready = [read.job.ready_ms for read in heads if read is not None and read.job.ready_ms is not None]
        ready += [] if queue.overdue_ms is None else [queue.overdue_ms]
        oldest_ms = min(ready) if ready else None
        return QueueNow(
            name=queue.name,
            counts=counts,
            # A producer's clock may be ahead.
            oldest_ready_ms=None if oldest_ms is None else min(oldest_ms, self.at_ms),
            is_paused=is_suspended,
            prefetched=queue.taken,
        )


def _queue(name: str, answers: Iterator[Any]) -> _Queue:
    size, taken, heads, overdue, running_size, running = (next(answers) for _ in range(6))
    sizes = {registry: next(answers) or 0 for registry in _COUNTED}
    counts = dict.fromkeys(_COUNTED.values(), 0)
    counts[JobState.QUEUED] = (size or 0) + (taken or 0)
    for registry, state in _COUNTED.items():
        counts[state] += sizes[registry]
    counts[JobState.RUNNING] = running_size or 0
    return _Queue(
        name,
        counts,
        [text(id) for id in heads or ()],
        running or [],
        running_size or 0,
        sizes,
        taken or 0,
        epoch_ms(overdue[0][1]) if overdue else None,
    )


def _workers_before(
    hashes: dict[str, WorkerHash], now: tuple[WorkerNow, ...], last: Cursor, at_ms: int
) -> dict[str, WorkerBefore]:
    """For the next cursor, with those that are no longer listed: their last counts are kept for a minute."""
    known = {worker.id: worker for worker in now}
    workers: dict[str, WorkerBefore] = {}
    for name, found in hashes.items():
        one, before = known.get(name), last.workers.get(name)
        if found.fields:
            counted = one or worker_now(found, before, before.skew_s if before else None, at_ms)
            workers[name] = WorkerBefore(
                counted.succeeded or 0,
                counted.failed_attempts or 0,
                counted.expected_ms,
                counted.skew_s,
                counted.started_ms,
            )
        elif one is not None and before is not None:
            workers[name] = before
    return workers
