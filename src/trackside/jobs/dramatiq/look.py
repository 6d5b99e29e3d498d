"""One look at dramatiq: what waits, what a process has fetched, what is delayed, and what died since the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from trackside.jobs.dramatiq.broker import DEAD, DELAYED, MAX_BROKERS, MAX_PAIRS, Broker, Place
from trackside.jobs.dramatiq.cursor import Cursor, cursor_of
from trackside.jobs.dramatiq.messages import Message, dead_job, delayed_job, fetched_job, waiting_job
from trackside.jobs.redis_store import text, time_ms
from trackside.jobs.source import MAX_FINISHED, MAX_RUNNING
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow, WorkerNow

MAX_DELAYED = 200
"""Delayed messages of a queue that are read."""
MAX_FETCHED = 1_000
_HEADS = 5
_MAX_DUES = 10_000
# A process that was silent for so long is dead to dramatiq, and its messages are given to others.
_HEARTBEAT_MS = 60_000
# Clocks of workers may be behind that of Redis.
_BEHIND_MS = 60_000
_NOTES = (
    "A success leaves no trace in dramatiq: what ends well is counted by a hook in the worker; only dead letters are "
    "seen here.",
    "Fetched messages are counted as running: a worker fetches up to twice as many as it has threads. They run since "
    "they were first seen fetched.",
    "Producers send heartbeats too: a process is a worker once it was seen to have fetched something.",
)


@dataclass(slots=True)
class _Queue:
    name: str
    waiting: int
    heads: list[bytes]
    delayed: int
    delayed_ids: list[bytes]
    dead: int
    died: list[tuple[bytes, float]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Of a process and a queue."""

    broker: str
    queue: str
    ending: str
    count: int
    ids: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _State:
    """What Redis answered."""

    at_ms: int
    beats: dict[str, int]
    queues: list[_Queue]
    fetched: list[Fetched]
    notes: list[str] = field(default_factory=list)


class Look:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._dues: dict[str, int] = {}
        """Of messages that were delayed when they were seen: moved to their queue, they do not say it any more."""
        self._since: dict[str, int] = {}

    def due_ms(self, message: Message) -> int | None:
        return self._dues.get(message.id)

    def since_ms(self, id: str) -> int | None:
        """When it was first seen to be fetched, as the last look knew."""
        return self._since.get(id)

    def sample(self, cursor: Any) -> JobsSample:
        before = cursor_of(cursor)
        last = before or Cursor()
        self.broker.know(last.queues)
        self.broker.discover()
        state = self._state(before)
        delayed = self._delayed(state)
        running = self._running(state, last)
        finished, seen = self._finished(state, before)
        self._since = {job.id: job.started_ms or state.at_ms for job in running}
        workers = _workers(state, last, running)
        queues = tuple(self._queue_now(queue, delayed[queue.name], state) for queue in state.queues)
        after = Cursor(
            at_ms=state.at_ms,
            queues=tuple(self.broker.queues),
            workers={worker.id: worker.queues for worker in workers},
            fetched=dict(list(self._since.items())[:MAX_RUNNING]),
            seen=seen,
        )
        return JobsSample(
            at_ms=state.at_ms,
            queues=queues,
            workers=workers,
            running=tuple(sorted(running, key=lambda job: (job.started_ms or 0, job.id))[:MAX_RUNNING]),
            finished=tuple(finished),
            cursor=after.as_json(),
            notes=(*_NOTES, *state.notes),
        )

    def _state(self, before: Cursor | None) -> _State:
        asked = self.broker.store.pipeline()
        asked.time()
        asked.zrevrange(self.broker.heartbeats_key, 0, MAX_BROKERS - 1, withscores=True)
        for name in self.broker.queues:
            self._ask_queue(asked, name, before)
        time, beats, *answers = self.broker.store.answers(asked)
        at_ms = time_ms(time)
        state = _State(at_ms, {text(id): round(score) for id, score in beats or () if abs(score) < 1e15}, [], [])
        for name, found in zip(self.broker.queues, zip(*[iter(answers)] * 6, strict=True), strict=True):
            waiting, heads, delayed, delayed_ids, dead, died = found
            state.queues.append(
                _Queue(name, waiting or 0, heads or [], delayed or 0, delayed_ids or [], dead or 0, died or [])
            )
        pairs = fetched_by(self.broker, list(state.beats))
        state.fetched = pairs.found
        if self.broker.is_looking:
            state.notes.append("There are many keys, and queues are still looked for among them: better to name all.")
        if pairs.is_cut or len(beats or ()) == MAX_BROKERS:
            state.notes.append(f"Of {len(state.beats)} processes, only the latest are asked what they have fetched.")
        if any(len(queue.died) > MAX_FINISHED for queue in state.queues):
            state.notes.append(f"More than {MAX_FINISHED} messages died since the last look: only those are shown.")
        return state

    def _ask_queue(self, asked: Any, name: str, before: Cursor | None) -> None:
        dead = self.broker.list_key(name + DEAD)
        asked.llen(self.broker.list_key(name))
        asked.lrange(self.broker.list_key(name), 0, _HEADS - 1)
        asked.hlen(self.broker.hash_key(name + DELAYED))
        asked.lrange(self.broker.list_key(name + DELAYED), 0, MAX_DELAYED - 1)
        asked.zcard(dead)
        since_ms = (before.at_ms if before else 0) - _BEHIND_MS
        most = MAX_FINISHED + 1 if before else 0
        asked.zrangebyscore(dead, since_ms, "+inf", start=0, num=most, withscores=True)

    def _delayed(self, state: _State) -> dict[str, list[Message]]:
        """Those of each queue that were read: on its list, and in the memory of workers."""
        places = []
        for queue in state.queues:
            ids = [id for one in state.fetched if one.ending and one.queue == queue.name for id in one.ids]
            ids = list(dict.fromkeys([*queue.delayed_ids, *ids]))[:MAX_DELAYED]
            places += [Place(queue.name, DELAYED, id) for id in ids]
        found: dict[str, list[Message]] = {queue.name: [] for queue in state.queues}
        for message in self.broker.messages(places):
            if message is None:
                continue
            found[message.queue].append(message)
            if message.eta_ms is not None:
                self._dues.pop(message.id, None)
                self._dues[message.id] = message.eta_ms
        while len(self._dues) > _MAX_DUES:
            del self._dues[next(iter(self._dues))]
        return found

    def _running(self, state: _State, last: Cursor) -> list[Job]:
        held = [one for one in state.fetched if not one.ending]
        pairs = [(one, id) for one in held for id in one.ids][:MAX_FETCHED]
        messages = self.broker.messages([Place(one.queue, "", id) for one, id in pairs])
        found = []
        for (one, _), message in zip(pairs, messages, strict=True):
            if message is None:
                continue
            beat_ms = state.beats.get(one.broker)
            lease_ms = None if beat_ms is None else beat_ms + _HEARTBEAT_MS
            job = fetched_job(message, one.broker, self.due_ms(message), lease_ms)
            found.append(replace(job, started_ms=last.fetched.get(message.id, state.at_ms)))
        return found

    def _finished(self, state: _State, before: Cursor | None) -> tuple[list[Job], dict[int, int]]:
        """Dead letters since the last look, oldest first, and what the next look has to know of them."""
        if before is None:
            return [], {}
        entries = [
            (round(score), Place(queue.name, DEAD, id))
            for queue in state.queues
            for id, score in queue.died
            if abs(score) < 1e15
        ]
        entries = [one for one in entries if _checksum(one[1]) not in before.seen]
        entries = sorted(entries, key=lambda one: (one[0], one[1].field))[:MAX_FINISHED]
        seen = before.seen | {_checksum(place): dead_ms for dead_ms, place in entries}
        messages = self.broker.messages([place for _, place in entries])
        jobs = [
            replace(dead_job(message, dead_ms), started_ms=before.fetched.get(message.id))
            for (dead_ms, _), message in zip(entries, messages, strict=True)
            if message is not None
        ]
        kept_ms = state.at_ms - 2 * _BEHIND_MS
        return jobs, {checksum: dead_ms for checksum, dead_ms in seen.items() if dead_ms >= kept_ms}

    def _queue_now(self, queue: _Queue, delayed: Sequence[Message], state: _State) -> QueueNow:
        counts = Counter({JobState.QUEUED: queue.waiting, JobState.FAILED: queue.dead})
        counts[JobState.RUNNING] = sum(one.count for one in state.fetched if one.queue == queue.name and not one.ending)
        states = Counter(delayed_job(message, state.at_ms).state for message in delayed)
        unread = max(0, queue.delayed - len(delayed))
        for name in (JobState.SCHEDULED, JobState.RETRYING, JobState.QUEUED):
            # Those that were not read are as those that were.
            more = round(unread * states[name] / len(delayed)) if delayed else 0
            counts[name] += states[name] + more
        if not delayed:
            counts[JobState.SCHEDULED] += queue.delayed
        if unread:
            state.notes.append(f"{queue.name}: of {queue.delayed} delayed messages {len(delayed)} were read.")
        heads = self.broker.messages([Place(queue.name, "", id) for id in queue.heads])
        jobs = [waiting_job(message, self.due_ms(message)) for message in heads if message is not None]
        jobs += [job for job in (delayed_job(one, state.at_ms) for one in delayed) if job.state is JobState.QUEUED]
        ready = [job.ready_ms for job in jobs if job.ready_ms is not None]
        return QueueNow(
            name=queue.name,
            counts=dict(counts),
            # A producer's clock may be ahead.
            oldest_ready_ms=min(*ready, state.at_ms) if ready else None,
        )


@dataclass(slots=True)
class _Pairs:
    found: list[Fetched] = field(default_factory=list)
    is_cut: bool = False


def fetched_by(broker: Broker, brokers: Sequence[str]) -> _Pairs:
    """What each process has of each queue; those that said last that they live come first."""
    pairs = [(id, queue, ending) for id in brokers for queue in broker.queues for ending in ("", DELAYED)]
    asked = broker.store.pipeline()
    for id, queue, ending in pairs[:MAX_PAIRS]:
        asked.scard(broker.acks_key(id, queue + ending))
    counts = broker.store.answers(asked)
    filled = [(pair, count) for pair, count in zip(pairs, counts, strict=False) if count]
    asked = broker.store.pipeline()
    for (id, queue, ending), _ in filled:
        asked.sscan(broker.acks_key(id, queue + ending), 0, count=MAX_DELAYED if ending else MAX_FETCHED)
    answers = broker.store.answers(asked)
    return _Pairs(
        [
            Fetched(*pair, count, tuple(sorted(answer[1])[:MAX_FETCHED]) if answer else ())
            for (pair, count), answer in zip(filled, answers, strict=True)
        ],
        len(pairs) > MAX_PAIRS,
    )


def _workers(state: _State, last: Cursor, running: Sequence[Job]) -> tuple[WorkerNow, ...]:
    queues: dict[str, dict[str, None]] = {
        id: dict.fromkeys(names) for id, names in last.workers.items() if id in state.beats
    }
    for one in state.fetched:
        queues.setdefault(one.broker, {})[one.queue] = None
    jobs: dict[str, list[str]] = {}
    for job in running:
        jobs.setdefault(job.worker or "", []).append(job.id)
    return tuple(
        WorkerNow(
            id=id,
            queues=tuple(sorted(names)),
            state="busy" if id in jobs else "idle",
            beat_ms=state.beats.get(id),
            expected_ms=state.beats[id] + _HEARTBEAT_MS if id in state.beats else None,
            jobs=tuple(sorted(jobs.get(id, ()))),
            is_inferred=True,
        )
        for id, names in sorted(queues.items())
    )


def _checksum(place: Place) -> int:
    return crc32(place.queue.encode("utf-8", "backslashreplace") + b" " + place.field)
