"""What can be done to jobs of RQ 2 and 3: what its own registries do, in one step each."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trackside.jobs.acting.redis_writer import RedisWriter
from trackside.jobs.acting.rights import rq_rights
from trackside.jobs.acting.rq_scripts import CANCEL, DELETE, RETRY
from trackside.jobs.actor import DONE, GONE, Ability, Verb, is_now, one_by_one
from trackside.jobs.redis_store import RedisStore, text
from trackside.jobs.rq.keys import Keys
from trackside.model.jobs import JobState

_TIMEOUT_S = 180
"""What RQ gives a job that says nothing."""
_NO_TRACEBACK = zlib.compress(b"")
_SCRIPTS = {Verb.RETRY: RETRY, Verb.CANCEL: CANCEL, Verb.DELETE: DELETE}
_ALL_WORKERS = "RQ has one switch for all of its workers: this concerns every queue, not only the one named."
_ABILITIES: Mapping[Verb, Ability] = {
    Verb.RETRY: Ability(
        frozenset((JobState.FAILED, JobState.CANCELLED)),
        "It gets one attempt: RQ counts the automatic retries as used.",
    ),
    Verb.CANCEL: Ability(
        frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED, JobState.RUNNING)),
        "A running job is stopped by killing the process it runs in. Jobs that wait for a cancelled one go on waiting.",
    ),
    Verb.DELETE: Ability(
        frozenset(JobState),
        "Its arguments, result and traceback are gone then. A job that runs, or that others wait for, is left alone.",
    ),
    Verb.PAUSE: Ability(frozenset(), f"{_ALL_WORKERS} What runs is finished."),
    Verb.RESUME: Ability(frozenset(), _ALL_WORKERS),
}


class RqActor:
    def __init__(self, store: RedisStore, prefix: str = "rq") -> None:
        """`store` is connected as a user with `rq_rights`."""
        self._writer = RedisWriter(store, rq_rights(prefix))
        self._keys = Keys(prefix)

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        return _ABILITIES

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset(_ABILITIES)

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        # First of all a question: whoever cannot be reached has certainly done nothing.
        now_ms = self._writer.store.now_ms()
        if verb in _SCRIPTS:
            return one_by_one(ids, lambda id: self._acted(verb, id, now_ms))
        return one_by_one(ids, lambda queue: self._suspended(verb is Verb.PAUSE))

    def close(self) -> None:
        self._writer.close()

    def _acted(self, verb: Verb, id: str, now_ms: int) -> str:
        at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values = (self._keys.prefix, id, at, now_ms // 1000, _NO_TRACEBACK, _TIMEOUT_S)
        word, _, about = self._writer.run(_SCRIPTS[verb], *values).partition(":")
        return self._stopped(id) if word == "started" else _said(word, about)

    def _stopped(self, id: str) -> str:
        """Asks its worker; only that one can."""
        asked = self._writer.store.pipeline()
        asked.hget(self._keys.job(id), "worker_name")
        (name,) = self._writer.store.answers(asked)
        if not name:
            return "it runs, and no worker is known to run it: after its lease has ended it can be deleted"
        command = json.dumps({"command": "stop-job", "job_id": id})
        if self._writer.publish(self._keys.of("pubsub", text(name)), command):
            return DONE
        return (
            f"its worker {text(name)} does not listen: it is gone, and after the lease has ended the job can be deleted"
        )

    def _suspended(self, is_paused: bool) -> str:
        key = self._keys.of("suspended")
        if is_paused:
            self._writer.run("redis.call('SET', ARGV[1], 1) return ''", key)
        else:
            self._writer.run("redis.call('DEL', ARGV[1]) return ''", key)
        return DONE


def _said(word: str, about: str) -> str:
    match word:
        case "":
            return DONE
        case "gone":
            return GONE
        case "taken":
            return "a worker has just taken it"
        case "held":
            return "it runs: cancel it first"
        case "children":
            return f"{about} more wait for it, and would wait for ever: cancel them first"
        case "unlisted":
            return f"it is not in RQ's registry of {about} jobs (any more)"
    return is_now(about)
