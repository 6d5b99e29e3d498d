"""Messages of dramatiq by what is asked for, and one of them with all that is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from trackside.jobs.dramatiq.broker import DEAD, DELAYED, MAX_BROKERS, Broker, Place
from trackside.jobs.dramatiq.look import MAX_FETCHED, Fetched, Look, fetched_by
from trackside.jobs.dramatiq.messages import Message, attempts, dead_job, delayed_job, fetched_job, waiting_job
from trackside.jobs.ends import ListEnd, SortedEnd, chunks
from trackside.jobs.lanes import Found, Lane, matches, page_of, remembered
from trackside.jobs.payloads import IsSecret, shown
from trackside.jobs.redis_store import encoded, text, time_ms
from trackside.model.jobs import Job, JobDetail, JobQuery, JobsPage, JobState

MAX_READ = 4_000
_MAX_DELAYED = 2_000
_EXTRA = {
    "retries": "retries",
    "max_retries": "max retries",
    "time_limit": "time limit (ms)",
    "max_age": "max age (ms)",
}
_WAITING = {JobState.QUEUED}
_DELAYED = {JobState.SCHEDULED, JobState.RETRYING, JobState.QUEUED}


class Search:
    """At one moment: who has fetched what is asked once."""

    def __init__(self, look: Look, is_secret: IsSecret) -> None:
        self._look = look
        self._broker: Broker = look.broker
        self._is_secret = is_secret
        self._broker.discover()
        asked = self._broker.store.pipeline()
        asked.time()
        asked.zrevrange(self._broker.heartbeats_key, 0, MAX_BROKERS - 1, withscores=True)
        time, beats = self._broker.store.answers(asked)
        self._at_ms = time_ms(time)
        self._beats = {text(id): round(score) for id, score in beats or () if abs(score) < 1e15}
        self._fetched = fetched_by(self._broker, list(self._beats)).found
        self._is_cut = False

    def page(self, query: JobQuery, after: str, limit: int) -> JobsPage:
        states = query.states or frozenset(JobState)
        lanes: dict[str, Lane] = {}
        for queue in [query.queue] if query.queue else self._broker.queues:
            if JobState.RUNNING in states:
                lanes[f"fetched {queue}"] = self._fetched_lane(queue, query)
            if states & _WAITING:
                lanes[f"waiting {queue}"] = self._waiting_lane(queue, query)
            if states & _DELAYED:
                lanes[f"delayed {queue}"] = self._delayed_lane(queue, query)
            if JobState.FAILED in states:
                lanes[f"dead {queue}"] = self._dead_lane(queue, query)
        found = page_of(lanes, after, limit, MAX_READ)
        return replace(found, is_cut=found.is_cut or self._is_cut)

    def _fetched_lane(self, queue: str, query: JobQuery) -> Lane:
        held = [one for one in self._fetched if one.queue == queue and not one.ending]
        pairs = [(one, id) for one in held for id in one.ids]
        self._is_cut = self._is_cut or len(pairs) > MAX_FETCHED
        pairs = pairs[:MAX_FETCHED]
        messages = self._broker.messages([Place(queue, "", id) for _, id in pairs])
        jobs = [
            (message, self._running(message, one))
            for (one, _), message in zip(pairs, messages, strict=True)
            if message is not None
        ]
        return remembered(self._found(message, job, query) for message, job in jobs)

    def _running(self, message: Message, one: Fetched) -> Job:
        lease_ms = self._beats[one.broker] + 60_000 if one.broker in self._beats else None
        job = fetched_job(message, one.broker, self._look.due_ms(message), lease_ms)
        return replace(job, started_ms=self._look.since_ms(message.id))

    def _delayed_lane(self, queue: str, query: JobQuery) -> Lane:
        messages = self._delayed(queue)
        return remembered(self._found(message, delayed_job(message, self._at_ms), query) for message in messages)

    def _delayed(self, queue: str) -> list[Message]:
        asked = self._broker.store.pipeline()
        asked.lrange(self._broker.list_key(queue + DELAYED), 0, _MAX_DELAYED)
        asked.hlen(self._broker.hash_key(queue + DELAYED))
        for one in self._fetched:
            if one.ending and one.queue == queue:
                asked.sscan(self._broker.acks_key(one.broker, queue + DELAYED), 0, count=_MAX_DELAYED)
        listed, size, *held = self._broker.store.answers(asked)
        ids = dict.fromkeys([*(listed or ()), *(id for answer in held if answer for id in sorted(answer[1]))])
        places = [Place(queue, DELAYED, id) for id in list(ids)[:_MAX_DELAYED]]
        self._is_cut = self._is_cut or (size or 0) > len(places)
        return [message for message in self._broker.messages(places) if message is not None]

    def _waiting_lane(self, queue: str, query: JobQuery) -> Lane:
        def lane(position: Any) -> Iterator[Found]:
            for chunk in chunks(self._broker.store, ListEnd(self._broker.list_key(queue), position)):
                messages = self._broker.messages([Place(queue, "", id) for id, _ in chunk])
                for (id, index), message in zip(chunk, messages, strict=True):
                    found = None
                    if message is not None:
                        found = self._found(message, waiting_job(message, self._look.due_ms(message)), query)
                    yield Found(found.at_ms if found else math.inf, [index, text(id)], found.job if found else None)

        return lane

    def _dead_lane(self, queue: str, query: JobQuery) -> Lane:
        def lane(position: Any) -> Iterator[Found]:
            for chunk in chunks(self._broker.store, SortedEnd(self._broker.list_key(queue + DEAD), position)):
                messages = self._broker.messages([Place(queue, DEAD, id) for id, _ in chunk])
                for (id, score), message in zip(chunk, messages, strict=True):
                    job = None
                    if message is not None:
                        job = self._found(message, dead_job(message, _ms(score)), query).job
                    yield Found(score, [score, text(id)], job)

        return lane

    def _found(self, message: Message, job: Job, query: JobQuery) -> Found:
        is_wanted = matches(job, query, (message.args, message.kwargs), self._is_secret)
        at_ms = job.started_ms or job.ready_ms or 0
        return Found(at_ms, [at_ms, message.id], job if is_wanted else None)

    def detail(self, id: str) -> JobDetail | None:
        place = self._broker.place_of(id)
        found = self._at(place, id) if place is not None else None
        if found is None:
            # Retried, it has moved; or it was never read.
            self._look_for(id)
            place = self._broker.place_of(id)
            found = self._at(place, id) if place is not None else None
        if found is None:
            return None
        message, job = found
        return JobDetail(
            job=job,
            args=tuple(shown(message.args, self._is_secret)) if isinstance(message.args, list) else (),
            kwargs=shown(message.kwargs, self._is_secret) if isinstance(message.kwargs, dict) else {},
            attempts=attempts(message, job),
            extra=_extra(message.options),
        )

    def _at(self, place: Place, id: str) -> tuple[Message, Job] | None:
        (message,) = self._broker.messages([place])
        if message is None or message.id != id:
            return None
        if place.ending == DEAD:
            asked = self._broker.store.pipeline()
            asked.zscore(self._broker.list_key(place.queue + DEAD), place.field)
            (score,) = self._broker.store.answers(asked)
            return message, dead_job(message, _ms(score))
        if place.ending == DELAYED:
            return message, delayed_job(message, self._at_ms)
        for one in self._fetched:
            if one.queue == place.queue and not one.ending and place.field in one.ids:
                return message, self._running(message, one)
        return message, waiting_job(message, self._look.due_ms(message))

    def _look_for(self, id: str) -> None:
        """Reads on until it has been read; whatever is read is remembered where it is."""
        direct = [Place(queue, ending, encoded(id)) for queue in self._broker.queues for ending in ("", DELAYED, DEAD)]
        if any(message is not None and message.id == id for message in self._broker.messages(direct)):
            return
        after = ""
        for _ in range(2):
            after = self.page(JobQuery(text=id), after, 1).next
            place = self._broker.place_of(id)
            if not after or (place is not None and self._at(place, id) is not None):
                return


def _extra(options: Mapping[str, Any]) -> dict[str, str]:
    found = {label: str(options[name])[:200] for name, label in _EXTRA.items() if options.get(name) is not None}
    pipe: Any = options.get("pipe_target")
    if isinstance(pipe, dict):
        found["then"] = str(pipe.get("actor_name"))[:200]
    return found


def _ms(score: Any) -> int | None:
    return round(score) if isinstance(score, int | float) and 0 < score < 1e15 else None
