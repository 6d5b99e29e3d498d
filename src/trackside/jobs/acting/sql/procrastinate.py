"""What can be done to jobs of procrastinate: by its own functions, where they are."""

from __future__ import annotations

from trackside.jobs.acting.sql.actor import Deed, Deeds, DeedsOf
from trackside.jobs.acting.sql.writing import Writing
from trackside.jobs.actor import Ability, Verb
from trackside.model.jobs import JobState

_WAITING = frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING))
_ENDED = frozenset(state for state in JobState if state.is_final)


def procrastinate(schema: str = "") -> DeedsOf:
    prefix = f"{schema}." if schema else ""
    jobs = f"{prefix}procrastinate_jobs"

    def deeds(writing: Writing) -> Deeds:
        verbs = {
            Verb.DELETE: Deed(
                f"DELETE FROM {jobs} WHERE id = ?::bigint AND status::text NOT IN ('doing', 'aborting')",
                Ability(_WAITING | _ENDED, "Its events are deleted with it."),
            )
        }
        if _has(writing, f"{prefix}procrastinate_retry_job_v2"):
            verbs[Verb.RETRY] = Deed(
                # The function takes a running job too, which would run twice then.
                f"SELECT true FROM (SELECT {prefix}procrastinate_retry_job_v2(j.id, now(), NULL, NULL, NULL)"
                f" FROM (SELECT id FROM {jobs} WHERE id = ?::bigint AND status = 'failed' FOR UPDATE) j OFFSET 0) done",
                Ability(frozenset((JobState.FAILED,)), "It is due at once, and counts as one more attempt."),
                returns=True,
            )
        if _has(writing, f"{prefix}procrastinate_cancel_job_v1"):
            verbs[Verb.CANCEL] = Deed(
                f"SELECT {prefix}procrastinate_cancel_job_v1(?::bigint, true, false)",
                Ability(
                    _WAITING | {JobState.RUNNING},
                    "One that runs is asked to abort: an asynchronous task is, a synchronous one has to look.",
                ),
                returns=True,
            )
        return Deeds(f"SELECT status::text FROM {jobs} WHERE id = ?::bigint", verbs)

    return deeds


def _has(writing: Writing, function: str) -> bool:
    return writing("SELECT to_regproc(%s) IS NOT NULL", (function,)) == [(True,)]
