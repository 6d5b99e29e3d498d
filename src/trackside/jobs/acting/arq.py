"""What can be done to jobs of arq. Not: run one again, since what it was called with is only in a pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trackside.jobs.acting.redis_writer import RedisWriter
from trackside.jobs.acting.rights import arq_rights
from trackside.jobs.actor import DONE, GONE, Ability, Verb, one_by_one
from trackside.jobs.arq.wire import ABORTS, JOB, QUEUE, RESULT, RETRY, RUNNING
from trackside.jobs.redis_store import RedisStore, encoded
from trackside.model.jobs import JobState

# Arguments: id, the keys of job, running, attempts and result, that of the aborts, the time, and the queues.
_WAITING = """
local id, taken_out = ARGV[1], 0
for at = 8, #ARGV do taken_out = taken_out + redis.call('ZREM', ARGV[at], id) end
"""
_CANCEL = (
    """
if redis.call('EXISTS', ARGV[3]) == 1 then
  redis.call('ZADD', ARGV[6], ARGV[7], ARGV[1])
  return ''
end
"""
    + _WAITING
    + """
if taken_out == 0 then return redis.call('EXISTS', ARGV[5]) == 1 and 'ended' or 'gone' end
redis.call('DEL', ARGV[2], ARGV[4])
return ''
"""
)
_DELETE = (
    "if redis.call('EXISTS', ARGV[3]) == 1 then return 'running' end\n"
    + _WAITING
    + """
return redis.call('DEL', ARGV[2], ARGV[4], ARGV[5]) + taken_out > 0 and '' or 'gone'
"""
)
_SCRIPTS = {Verb.CANCEL: _CANCEL, Verb.DELETE: _DELETE}
_SAID = {"": DONE, "gone": GONE, "running": "it runs: cancel it first", "ended": "it has ended"}
_WAITING_STATES = (JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING)
_ABILITIES: Mapping[Verb, Ability] = {
    Verb.CANCEL: Ability(
        frozenset((*_WAITING_STATES, JobState.RUNNING)),
        "One that waits is taken out of its queue, and leaves no trace. One that runs is aborted by its worker, if that"
        " was started with allow_abort_jobs; other workers do not hear of it.",
    ),
    Verb.DELETE: Ability(
        frozenset((*_WAITING_STATES, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)),
        "What it was called with, and its result, are gone then.",
    ),
}


class ArqActor:
    def __init__(self, store: RedisStore, queues: Sequence[str] = (QUEUE,)) -> None:
        """`store` is connected as a user with `arq_rights`. Jobs of other queues are not found."""
        self._writer = RedisWriter(store, arq_rights(queues))
        self._queues = tuple(queues)

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        return _ABILITIES

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset(_ABILITIES)

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        now_ms = self._writer.store.now_ms()
        return one_by_one(ids, lambda id: self._acted(verb, encoded(id), now_ms))

    def close(self) -> None:
        self._writer.close()

    def _acted(self, verb: Verb, raw: bytes, now_ms: int) -> str:
        keys = (JOB + raw, RUNNING + raw, RETRY + raw, RESULT + raw)
        return _SAID[self._writer.run(_SCRIPTS[verb], raw, *keys, ABORTS, now_ms, *self._queues)]
