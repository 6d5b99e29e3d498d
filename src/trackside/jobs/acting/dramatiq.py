"""What can be done to messages of dramatiq on Redis: those that nobody has fetched can be moved and deleted.

Not: cancel. A message says nothing of that, and what a worker has fetched is in its memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from trackside.jobs.acting.redis_writer import RedisWriter
from trackside.jobs.acting.rights import dramatiq_rights
from trackside.jobs.actor import DONE, GONE, Ability, Verb, one_by_one
from trackside.jobs.dramatiq.broker import DEAD, DELAYED, Broker, Place
from trackside.jobs.dramatiq.look import Look
from trackside.jobs.dramatiq.search import Search
from trackside.jobs.redis_store import RedisStore
from trackside.model.jobs import JobState

# Arguments: the dead letters of a queue, the queue, the message's field, what it was and what it is to be.
_RETRY = """
if redis.call('HGET', ARGV[1] .. '.msgs', ARGV[3]) ~= ARGV[4] then return 'moved' end
redis.call('ZREM', ARGV[1], ARGV[3])
redis.call('HDEL', ARGV[1] .. '.msgs', ARGV[3])
redis.call('HSET', ARGV[2] .. '.msgs', ARGV[3], ARGV[5])
redis.call('RPUSH', ARGV[2], ARGV[3])
return ''
"""
# Arguments: where it is, its field, and how it is taken out of there.
_DELETE = """
local removed
if ARGV[3] == 'dead' then
  removed = redis.call('ZREM', ARGV[1], ARGV[2])
else
  removed = redis.call('LREM', ARGV[1], 1, ARGV[2])
end
if removed == 0 then return 'moved' end
redis.call('HDEL', ARGV[1] .. '.msgs', ARGV[2])
return ''
"""
_ABILITIES: Mapping[Verb, Ability] = {
    Verb.RETRY: Ability(
        frozenset((JobState.FAILED,)),
        "The dead letter goes back to its queue, with all of its attempts. With a max_age it may be too old, and die.",
    ),
    Verb.DELETE: Ability(
        frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.FAILED)),
        "Nothing is left of the message. What a worker has fetched, delayed ones too, is left alone.",
    ),
}


class DramatiqActor:
    def __init__(self, store: RedisStore, namespace: str = "dramatiq", queues: Sequence[str] = ()) -> None:
        """`store` is connected as a user with `dramatiq_rights`; the rest as for the source."""
        self._writer = RedisWriter(store, dramatiq_rights(namespace))
        self._broker = Broker(store, namespace, queues)
        self._look = Look(self._broker)

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        return _ABILITIES

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset(_ABILITIES)

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        search = Search(self._look, lambda name: False)
        return one_by_one(ids, lambda id: self._acted(search, verb, id))

    def close(self) -> None:
        self._writer.close()

    def _acted(self, search: Search, verb: Verb, id: str) -> str:
        detail = search.detail(id)
        place = self._broker.place_of(id)
        if detail is None or place is None:
            return GONE
        state = detail.job.state
        if state not in _ABILITIES[verb].states:
            return "a worker has fetched it" if state is JobState.RUNNING else f"it is {state.value} now"
        word = self._retried(place) if verb is Verb.RETRY else self._deleted(place)
        return DONE if not word else "a worker has just fetched it, or it was moved"

    def _retried(self, place: Place) -> str:
        dead = self._broker.list_key(place.queue + DEAD)
        asked = self._writer.store.pipeline()
        asked.hget(dead + b".msgs", place.field)
        (raw,) = self._writer.store.answers(asked)
        if not raw:
            return "moved"
        return self._writer.run(_RETRY, dead, self._broker.list_key(place.queue), place.field, raw, _fresh(raw))

    def _deleted(self, place: Place) -> str:
        ending = place.ending if place.ending in (DEAD, DELAYED) else ""
        kind = "dead" if ending == DEAD else "waiting"
        return self._writer.run(_DELETE, self._broker.list_key(place.queue + ending), place.field, kind)


def _fresh(raw: bytes) -> bytes:
    """The message with no attempt used. One of another encoder than JSON stays as it is: it has one attempt."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(message, dict) or not isinstance(message.get("options"), dict):
        return raw
    message["options"]["retries"] = 0
    return json.dumps(message, separators=(",", ":")).encode()
