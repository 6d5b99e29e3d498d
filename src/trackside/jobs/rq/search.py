"""RQ's jobs, newest first: its lists and registries read side by side from their ends, as far as is needed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.ends import End, ListEnd, SortedEnd, place_of
from trackside.jobs.payloads import IsSecret, shown
from trackside.jobs.redis_store import RedisStore, text
from trackside.jobs.rq.attempts import failure_line
from trackside.jobs.rq.job_hash import FIELDS, JobHash, epoch_ms, job_hash
from trackside.jobs.rq.keys import Keys, job_id
from trackside.jobs.rq.payload import call_of, function_names, small_payloads
from trackside.jobs.rq.rate_limits import MAX_LIMITS
from trackside.jobs.source import MAX_SEARCHED
from trackside.model.jobs import Job, JobQuery, JobsPage, JobState

MAX_LIMIT = 1_000
# Each job takes some 40 µs to read, and with its arguments 150 µs; the search goes on at the next page.
MAX_READ = min(20_000, MAX_SEARCHED)
MAX_READ_WITH_PAYLOADS = 4_000
_MAX_CHUNK = 1_000
_MAX_QUEUES = 1_000
_REGISTRIES = {
    JobState.QUEUED: ("ready",),
    JobState.RUNNING: ("wip",),
    JobState.BLOCKED: ("deferred",),
    JobState.SCHEDULED: ("scheduled",),
    JobState.RETRYING: ("scheduled",),
    JobState.SUCCEEDED: ("finished",),
    # A job that was stopped is kept with those that failed.
    JobState.FAILED: ("failed",),
    JobState.CANCELLED: ("canceled", "failed"),
}


@dataclass(slots=True)
class _Lane:
    name: str
    end: End
    taken: Any = None
    """The position of the last job that was used. None: none was."""
    jobs: deque[tuple[Any, Job | None]] = field(default_factory=deque)
    """What has been read and not yet shown. None: it does not match, or is gone."""

    def id_of(self, member: bytes) -> str:
        return job_id(member) if self.name.startswith("wip:") else text(member)

    @property
    def has_more(self) -> bool:
        return bool(self.jobs) or not self.end.is_over

    def skip(self) -> None:
        """What does not match."""
        while self.jobs and self.jobs[0][1] is None:
            self.taken = self.jobs.popleft()[0]

    def newest_ms(self) -> int:
        job = self.jobs[0][1]
        return 0 if job is None else job.finished_ms or job.started_ms or job.ready_ms or 0


class Search:
    def __init__(self, store: RedisStore, keys: Keys, query: JobQuery, is_secret: IsSecret) -> None:
        self._store = store
        self._keys = keys
        self._query = query
        self._is_secret = is_secret
        self._read = 0

    def page(self, after: str, limit: int) -> JobsPage:
        limit = max(1, min(limit, MAX_LIMIT))
        lanes = self._lanes(_positions(after))
        asked = self._store.pipeline()
        for one in lanes:
            one.end.ask_place(asked)
        answers = iter(self._store.answers(asked))
        for one in lanes:
            one.end.take_place(answers)
        most = MAX_READ_WITH_PAYLOADS if self._query.text else MAX_READ
        found: dict[str, Job] = {}
        # Of a single lane all of the page may come, of many a few of each.
        chunk = max(8, 2 * limit // max(1, len(lanes)))
        while len(found) < limit and self._read < most and any(one.has_more for one in lanes):
            self._fill([one for one in lanes if not one.jobs and not one.end.is_over], chunk)
            _take_newest(lanes, found, limit)
            chunk = min(_MAX_CHUNK, chunk * 2)
        is_over = not any(one.has_more for one in lanes)
        positions = {one.name: one.taken for one in lanes if one.taken is not None}
        return JobsPage(
            jobs=tuple(found.values()),
            next="" if is_over else json.dumps(positions, separators=(",", ":")),
            is_cut=not is_over and len(found) < limit,
        )

    def _lanes(self, begins: Mapping[str, Any]) -> list[_Lane]:
        states = self._query.states or frozenset(_REGISTRIES)
        registries = dict.fromkeys(name for state in JobState if state in states for name in _REGISTRIES[state])
        lanes: list[_Lane] = []

        def add(name: str, end: type[ListEnd | SortedEnd], key: str) -> None:
            begin = begins.get(name)
            lanes.append(_Lane(name, end(key, begin), begin if place_of(begin) is not None else None))

        queues, limits = self._queues_and_limits()
        for limit in limits if JobState.BLOCKED in states else ():
            add(f"limited:{limit}", SortedEnd, self._keys.limited(limit))
        for queue in queues:
            if states & {JobState.QUEUED, JobState.RETRYING}:
                add(f"queue:{queue}", ListEnd, self._keys.queue(queue))
                add(f"taken:{queue}", ListEnd, self._keys.intermediate(queue))
            for registry in registries:
                add(f"{registry}:{queue}", SortedEnd, self._keys.of(registry, queue))
        return lanes

    def _queues_and_limits(self) -> tuple[list[str], list[str]]:
        asked = self._store.pipeline()
        asked.smembers(self._keys.of("queues"))
        asked.srandmember(self._keys.of("rl-keys"), MAX_LIMITS)
        names, limits = self._store.answers(asked)
        queues = sorted(self._keys.name_in("queue", name) for name in names or ())[:_MAX_QUEUES]
        return [self._query.queue] if self._query.queue else queues, sorted(text(limit) for limit in limits or ())

    def _fill(self, empty: Sequence[_Lane], chunk: int) -> None:
        """Reads on in each lane that has nothing ahead; as many jobs of each as may be wanted of one."""
        asked = self._store.pipeline()
        for one in empty:
            one.end.ask(asked, chunk)
        answers = iter(self._store.answers(asked))
        members = [
            (one, [(one.id_of(member), [number, text(member)]) for member, number in one.end.take(answers)])
            for one in empty
        ]
        asked = self._store.pipeline()
        for _, found in members:
            for id, _ in found:
                asked.hmget(self._keys.job(id), FIELDS)
        hashes = iter(self._store.answers(asked))
        for one, found in members:
            self._read += len(found)
            reads = [(id, position, job_hash(id, next(hashes))) for id, position in found]
            kept = self._matching([read for _, _, read in reads if read is not None])
            one.jobs.extend(
                (position, _as_in_lane(kept[id], one.name, position) if id in kept else None)
                for id, position, _ in reads
            )

    def _matching(self, reads: Sequence[JobHash]) -> dict[str, Job]:
        query = self._query
        kept = [
            read
            for read in reads
            if (not query.states or read.job.state in query.states)
            and (not query.queue or read.job.queue == query.queue)
            and (not query.worker or read.job.worker == query.worker)
        ]
        names = function_names(self._store, self._keys, [read.job.id for read in kept if read.is_described])
        errors = self._errors([read for read in kept if read.job.raw_state == "failed"])
        jobs = [
            replace(read.job, kind=names.get(read.job.id, read.job.kind), error=errors.get(read.job.id))
            for read in kept
        ]
        if query.kind:
            jobs = [job for job in jobs if job.kind == query.kind]
        if query.text:
            jobs = self._with_text(jobs)
        return {job.id: job for job in jobs}

    def _errors(self, failed: Sequence[JobHash]) -> dict[str, str | None]:
        asked = self._store.pipeline()
        for read in failed:
            asked.xrevrange(self._keys.results(read.job.id), count=1)
        answers = self._store.answers(asked)
        return {read.job.id: failure_line(stream)[1] for read, stream in zip(failed, answers, strict=True)}

    def _with_text(self, jobs: list[Job]) -> list[Job]:
        wanted = self._query.text.casefold()
        said = {job.id for job in jobs if wanted in f"{job.id} {job.kind} {job.error or ''}".casefold()}
        payloads = small_payloads(self._store, self._keys, [job.id for job in jobs if job.id not in said])
        return [job for job in jobs if job.id in said or self._is_in(payloads.get(job.id), wanted)]

    def _is_in(self, data: bytes | None, wanted: str) -> bool:
        """Only in what would be shown: a search that finds secrets tells them."""
        try:
            _, args, kwargs = call_of(data or b"")
        except ParseError:
            return False
        return any(
            wanted in json.dumps(shown(part, self._is_secret), ensure_ascii=False).casefold() for part in (args, kwargs)
        )


def _take_newest(lanes: Sequence[_Lane], found: dict[str, Job], limit: int) -> None:
    """Again and again the newest of all, until a lane that may have more has nothing ahead to compare with."""
    while len(found) < limit:
        for one in lanes:
            one.skip()
        if any(not one.jobs and not one.end.is_over for one in lanes):
            return
        filled = [one for one in lanes if one.jobs]
        if not filled:
            return
        best = max(filled, key=_Lane.newest_ms)
        best.taken, job = best.jobs.popleft()
        if job is not None:
            # It may have moved on to another registry in between.
            found.setdefault(job.id, job)


def _as_in_lane(job: Job, lane: str, position: Any) -> Job:
    """With what only the score of its registry says."""
    if lane.startswith("scheduled:"):
        return replace(job, due_ms=epoch_ms(position[0]))
    if lane.startswith("wip:"):
        return replace(job, lease_until_ms=epoch_ms(position[0]))
    return job


def _positions(after: str) -> dict[str, Any]:
    try:
        found = json.loads(after) if after else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
