"""What can be done to tasks of Celery on Redis: delete what waits in a queue, revoke what a worker has fetched.

Not: retry. The message of a task that has ended is gone, and its result keeps what it was called with as text at best.
Not: stop one that runs. A worker would kill one of its processes, which may be at another task by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trackside.jobs.acting.redis_writer import RedisWriter
from trackside.jobs.acting.rights import celery_rights
from trackside.jobs.actor import DONE, Ability, Verb, one_by_one
from trackside.jobs.celery.broker import Broker, Settings
from trackside.jobs.celery.messages import task_message
from trackside.jobs.celery.pidbox import broadcast
from trackside.jobs.redis_store import RedisStore
from trackside.jobs.source import MAX_SEARCHED
from trackside.model.jobs import JobState

_CHUNK = 1_000
_REMOVE = "return redis.call('LREM', ARGV[1], 1, ARGV[2])"
_ABILITIES: Mapping[Verb, Ability] = {
    Verb.CANCEL: Ability(
        frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING)),
        "Every worker that listens is told to skip it when its turn comes, and remembers that until it is restarted.",
    ),
    Verb.DELETE: Ability(
        frozenset((JobState.QUEUED,)),
        "It is taken out of its queue, and leaves no trace. One that a worker has fetched already can be cancelled.",
    ),
}


class CeleryActor:
    def __init__(self, store: RedisStore, settings: Settings | None = None) -> None:
        """`store` is connected as a user with `celery_rights`."""
        self._settings = settings or Settings()
        self._writer = RedisWriter(store, celery_rights(self._settings))
        self._broker = Broker(store, self._settings)

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        return _ABILITIES

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset(_ABILITIES)

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        now_ms = self._writer.store.now_ms()
        if verb is Verb.CANCEL:
            return one_by_one(ids, lambda id: self._revoked(id, now_ms))
        places = self._places(frozenset(ids))
        return one_by_one(ids, lambda id: self._deleted(places.get(id)))

    def close(self) -> None:
        self._writer.close()

    def _revoked(self, id: str, now_ms: int) -> str:
        settings = self._settings
        channel = f"{settings.prefix}{settings.fanout_prefix.format(db=settings.db)}celery.pidbox"
        if self._writer.publish(channel, _revocation(id, now_ms)):
            return DONE
        return "no worker listens, and nobody else remembers what is revoked: start one, or delete the task"

    def _deleted(self, place: tuple[str, bytes] | None) -> str:
        if place is not None and self._writer.run(_REMOVE, *place) == "1":
            return DONE
        return f"it is not among the newest {MAX_SEARCHED:,} that wait: a worker has fetched it, or it has ended"

    def _places(self, wanted: frozenset[str]) -> dict[str, tuple[str, bytes]]:
        """In which list each waits, and as which bytes."""
        found: dict[str, tuple[str, bytes]] = {}
        for queue in self._broker.queues():
            for key in self._settings.lists(queue):
                self._search(key, wanted, found)
                if len(found) == len(wanted):
                    return found
        return found

    def _search(self, key: str, wanted: frozenset[str], found: dict[str, tuple[str, bytes]]) -> None:
        for first in range(0, MAX_SEARCHED, _CHUNK):
            asked = self._writer.store.pipeline()
            asked.lrange(key, first, first + _CHUNK - 1)
            (items,) = self._writer.store.answers(asked)
            for raw in items or ():
                message = task_message(raw)
                if message is not None and message.id in wanted:
                    found.setdefault(message.id, (key, raw))
            if len(items or ()) < _CHUNK:
                return


def _revocation(id: str, now_ms: int) -> str:
    """As Celery's own remote control writes it."""
    body = {
        "method": "revoke",
        "arguments": {"task_id": [id], "terminate": False, "signal": "SIGTERM"},
        "destination": None,
        "pattern": None,
        "matcher": None,
    }
    return broadcast(body, now_ms)
