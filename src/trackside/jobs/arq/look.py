"""One look at arq: what lies in its sorted sets, which of it has a lease, and which results are new."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

from trackside.exceptions import ParseError
from trackside.jobs.arq.cursor import Cursor, cursor_of
from trackside.jobs.arq.health import workers_of
from trackside.jobs.arq.results import Results
from trackside.jobs.arq.wire import (
    ABORTS,
    HEALTH,
    JOB,
    RETRY,
    RUNNING,
    fields_of,
    kind_of,
    ms_of,
    payloads,
    retries_of,
)
from trackside.jobs.payloads import IsSecret
from trackside.jobs.redis_store import RedisStore, text, time_ms
from trackside.jobs.source import MAX_FINISHED, MAX_RUNNING
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow

MAX_QUEUES = 50
MAX_FRONT = 1_000
"""Members of all queues of which it is asked whether they run: workers take from the front."""
_HEADS = 5
_MAX_DUES = 10_000
# Clocks of workers may be behind that of Redis.
_BEHIND_MS = 60_000
_SAME_LEASE_MS = 2_000
_NOTES = (
    "arq has no list of workers: each queue has one health check, which the last worker that reported has written.",
    "arq does not say when a running job began: it is shown since it was first seen to run.",
    "Results are found where they are kept (keep_result is not 0), and have no traceback; a failed attempt that will "
    "be tried again leaves none: a hook in the worker sees both.",
)


@dataclass(slots=True)
class Member:
    """Of a queue's sorted set."""

    raw: bytes
    due_ms: int
    """Its score; 1 of one that is to be aborted before it is due."""
    left_ms: int = -2
    """Of the lease of whoever runs it."""
    is_retry: bool = False
    job: Job | None = None

    @property
    def id(self) -> str:
        return text(self.raw)


@dataclass(slots=True)
class _Queue:
    name: str
    size: int
    due: int
    front: list[Member]
    later: list[Member]
    health: str
    health_left_ms: int


class Look:
    def __init__(self, store: RedisStore, queues: Sequence[str], is_secret: IsSecret) -> None:
        self.store = store
        self.results = Results(store, is_secret)
        self._configured = tuple(queues)
        self._heard: dict[str, None] = {}
        self._run = uuid.uuid4().hex
        self._mark = ""
        self._number = 0
        self._running: dict[str, tuple[int, int]] = {}
        self._dues: dict[str, int] = {}
        """Of those that were not due when they were seen: their results do not say it."""

    @property
    def queues(self) -> list[str]:
        return list(dict.fromkeys([*self._configured, *self._heard]))[:MAX_QUEUES]

    def sample(self, cursor: Any) -> JobsSample:
        before = cursor_of(cursor)
        if before is None or before.mark != self._mark:
            self.results.forget()
        self.results.read()
        for job, _ in self.results.untold:
            if job.queue and len(self._heard) < MAX_QUEUES:
                self._heard.setdefault(job.queue)
        at_ms = self.store.now_ms()
        queues, aborts = self._queues(at_ms)
        running, heads = self._jobs(queues, aborts, before or Cursor(), at_ms)
        told = self._told(before, at_ms)
        self._number += 1
        self._mark = f"{self._run}:{self._number}"
        after = self._cursor(before, told, running, at_ms)
        self._running = after.running
        return JobsSample(
            at_ms=at_ms,
            queues=tuple(_queue_now(queue, heads[queue.name], at_ms) for queue in queues),
            workers=tuple(
                worker
                for queue in queues
                for worker in workers_of(queue.name, queue.health, queue.health_left_ms, running, at_ms)
            ),
            running=tuple(sorted(running, key=lambda job: (job.started_ms or 0, job.id))[:MAX_RUNNING]),
            finished=tuple(told) if before else (),
            cursor=after.as_json(),
            notes=(*_NOTES, *self._cut(queues)),
        )

    def running_since(self, job: Job) -> int | None:
        """As the last look saw it."""
        since = self._running.get(job.id)
        return since[0] if since is not None and job.state is JobState.RUNNING else None

    def _cursor(self, before: Cursor | None, told: list[Job], running: list[Job], at_ms: int) -> Cursor:
        round_ms = self.results.round_began_ms or (before.round_ms if before else at_ms)
        seen = (before.seen if before else {}) | {_checksum(job): job.finished_ms or at_ms for job in told}
        return Cursor(
            mark=self._mark,
            round_ms=round_ms,
            first_ms=before.first_ms if before else at_ms,
            seen={checksum: end_ms for checksum, end_ms in seen.items() if end_ms >= round_ms - _BEHIND_MS},
            running={job.id: (job.started_ms or at_ms, job.lease_until_ms or at_ms) for job in running[:MAX_RUNNING]},
        )

    def _told(self, before: Cursor | None, at_ms: int) -> list[Job]:
        """What has ended, oldest first; beyond what fits, the rest is told at the next look."""
        since_ms = max(before.round_ms - _BEHIND_MS, before.first_ms) if before else at_ms
        seen = before.seen if before else {}
        new = [
            job
            for job, is_certain in self.results.untold
            if (is_certain or (job.finished_ms or at_ms) >= since_ms) and _checksum(job) not in seen
        ]
        new.sort(key=lambda job: (job.finished_ms or at_ms, job.id))
        self.results.untold = [(job, True) for job in new[MAX_FINISHED:]]
        return [replace(job, due_ms=self._dues.pop(job.id, None)) for job in new[:MAX_FINISHED]]

    def _queues(self, at_ms: int) -> tuple[list[_Queue], set[bytes]]:
        names = self.queues
        most = max(100, MAX_FRONT // max(1, len(names)))
        asked = self.store.pipeline()
        asked.zrange(ABORTS, 0, MAX_FRONT - 1)
        for name in names:
            asked.zcard(name)
            asked.zcount(name, "-inf", at_ms)
            asked.zrange(name, 0, most - 1, withscores=True)
            asked.zrangebyscore(name, f"({at_ms}", "+inf", start=0, num=most, withscores=True)
            asked.getrange(name + HEALTH, 0, 300)
            asked.pttl(name + HEALTH)
        aborts, *answers = self.store.answers(asked)
        queues = []
        for name, (size, due, front, later, health, left_ms) in zip(
            names, zip(*[iter(answers)] * 6, strict=True), strict=True
        ):
            members = _members(front), _members(later)
            queues.append(_Queue(name, size or 0, due or 0, *members, text(health), left_ms or -2))
        for queue in queues:
            # In both, it is one.
            known = {one.raw: one for one in queue.front}
            queue.later = [known.get(one.raw, one) for one in queue.later]
        self._ask_leases(queues, at_ms)
        return queues, set(aborts or ())

    def _ask_leases(self, queues: Sequence[_Queue], at_ms: int) -> None:
        asked = self.store.pipeline()
        # What is left of a lease is left from this moment on, and the look began before it.
        asked.time()
        for queue in queues:
            for one in queue.front:
                asked.pttl(RUNNING + one.raw)
            for one in queue.later:
                asked.exists(RETRY + one.raw)
        answers = iter(self.store.answers(asked))
        passed_ms = time_ms(next(answers)) - at_ms
        for queue in queues:
            for one in queue.front:
                left_ms = next(answers)
                if not isinstance(left_ms, int):
                    left_ms = -2
                one.left_ms = left_ms if left_ms < 0 else max(0, left_ms + passed_ms)
            for one in queue.later:
                one.is_retry = bool(next(answers))
                if one.left_ms == -2:
                    self._dues.pop(one.id, None)
                    self._dues[one.id] = one.due_ms
        while len(self._dues) > _MAX_DUES:
            del self._dues[next(iter(self._dues))]

    def _jobs(
        self, queues: list[_Queue], aborts: set[bytes], before: Cursor, at_ms: int
    ) -> tuple[list[Job], dict[str, list[Member]]]:
        heads = {
            queue.name: [one for one in queue.front if one.left_ms == -2 and one.due_ms <= at_ms][:_HEADS]
            for queue in queues
        }
        running = {queue.name: [one for one in queue.front if one.left_ms != -2] for queue in queues}
        found: list[Job] = []
        for queue in queues:
            wanted = running[queue.name][:MAX_RUNNING]
            read_members(self.store, queue.name, [*wanted, *heads[queue.name]], aborts, at_ms)
            found += [_since(one.job, before, at_ms) for one in wanted if one.job is not None]
        return found, heads

    def _cut(self, queues: Sequence[_Queue]) -> list[str]:
        notes = []
        if self.results.is_behind:
            notes.append("There are many keys: results are looked for in turns, and are seen some looks late.")
        if self.results.unread:
            notes.append(f"{self.results.unread} results are of another serializer, or too large to be read.")
        if any(queue.size - queue.due > len(queue.later) for queue in queues):
            notes.append("Only of the next jobs that are not due it is known which are retries.")
        return notes


def read_members(
    store: RedisStore, queue: str, members: Sequence[Member], aborts: set[bytes], at_ms: int
) -> dict[bytes, tuple[Any, Any]]:
    """Gives each its job. Arguments by member, where they can be read."""
    asked = store.pipeline()
    for one in members:
        asked.getrange(RETRY + one.raw, 0, 10)
    tries = store.answers(asked)
    data = payloads(store, [JOB + one.raw for one in members])
    calls: dict[bytes, tuple[Any, Any]] = {}
    for one, attempts in zip(members, tries, strict=True):
        try:
            fields = fields_of(data.get(JOB + one.raw))
            calls[one.raw] = fields.get("a"), fields.get("k")
        except ParseError:
            fields = {}
        one.job = _job(one, queue, fields, retries_of(attempts), at_ms)
        if one.raw in aborts:
            one.job = replace(one.job, raw_state=f"{one.job.raw_state}, to be aborted")
    return calls


def _job(one: Member, queue: str, fields: Any, attempt: int | None, at_ms: int) -> Job:
    is_running = one.left_ms != -2
    is_later = one.due_ms > at_ms
    later = JobState.RETRYING if one.is_retry or attempt else JobState.SCHEDULED
    return Job(
        id=one.id,
        kind=kind_of(fields),
        queue=queue,
        state=JobState.RUNNING if is_running else later if is_later else JobState.QUEUED,
        raw_state="in_progress" if is_running else "deferred" if is_later else "queued",
        enqueued_ms=ms_of(fields.get("et")),
        due_ms=one.due_ms if one.due_ms > 1 else None,
        attempt=attempt,
        lease_until_ms=at_ms + one.left_ms if one.left_ms >= 0 else None,
    )


def _since(job: Job, before: Cursor, at_ms: int) -> Job:
    since_ms, until_ms = before.running.get(job.id, (at_ms, None))
    is_same = until_ms is not None and abs((job.lease_until_ms or until_ms) - until_ms) <= _SAME_LEASE_MS
    return replace(job, started_ms=since_ms if is_same else at_ms)


def _queue_now(queue: _Queue, heads: Sequence[Member], at_ms: int) -> QueueNow:
    running = [one for one in queue.front if one.left_ms != -2]
    due = sum(one.due_ms <= at_ms for one in running)
    retrying = sum(one.is_retry and one.left_ms == -2 for one in queue.later)
    ready = [one.job.ready_ms for one in heads if one.job is not None and one.job.ready_ms is not None]
    return QueueNow(
        name=queue.name,
        counts={
            JobState.QUEUED: max(0, queue.due - due),
            JobState.RUNNING: len(running),
            JobState.RETRYING: retrying,
            JobState.SCHEDULED: max(0, queue.size - queue.due - (len(running) - due) - retrying),
        },
        # A producer's clock may be ahead.
        oldest_ready_ms=min(*ready, at_ms) if ready else None,
    )


def _members(answer: Any) -> list[Member]:
    return [member_of(raw, score) for raw, score in answer or ()]


def member_of(raw: bytes, score: float) -> Member:
    return Member(raw, round(score) if abs(score) < 1e15 else 0)


def _checksum(job: Job) -> int:
    return crc32(f"{job.id} {job.finished_ms}".encode("utf-8", "backslashreplace"))
