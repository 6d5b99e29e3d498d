"""What can be done to jobs of apalis in Postgres, of both lines. What a worker has claimed is left to that worker."""

from __future__ import annotations

from trackside.jobs.acting.sql.actor import Deed, Deeds, DeedsOf
from trackside.jobs.acting.sql.writing import Writing
from trackside.jobs.actor import Ability, Verb
from trackside.jobs.sql.catalog import columns_of
from trackside.model.jobs import JobState

_WAITS = "status IN ('Pending', 'Scheduled') OR (status = 'Failed' AND attempts < max_attempts)"
_WAITING = frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING))


def apalis(schema: str = "") -> DeedsOf:
    jobs = f"{schema or 'apalis'}.jobs"

    def deeds(writing: Writing) -> Deeds:
        columns = columns_of(writing, writing.dialect, jobs)
        forget = ", ".join(f"{name} = NULL" for name in ("last_error", "last_result") if name in columns)
        return Deeds(
            f"SELECT status FROM {jobs} WHERE id = ?",
            {
                Verb.RETRY: Deed(
                    f"UPDATE {jobs} SET status = 'Pending', attempts = 0, run_at = now(), done_at = NULL,"
                    f" lock_at = NULL, lock_by = NULL{', ' + forget if forget else ''} WHERE id = ?"
                    " AND (status = 'Killed' OR (status = 'Failed' AND attempts >= max_attempts))",
                    Ability(frozenset((JobState.FAILED,)), "It gets all of its attempts again."),
                ),
                Verb.CANCEL: Deed(
                    f"UPDATE {jobs} SET status = 'Killed', done_at = now() WHERE id = ? AND ({_WAITS})",
                    Ability(_WAITING, "apalis calls it killed, and counts it among the failed."),
                ),
                Verb.DELETE: Deed(
                    f"DELETE FROM {jobs} WHERE id = ? AND ({_WAITS} OR status IN ('Done', 'Failed', 'Killed'))",
                    Ability(_WAITING | {JobState.SUCCEEDED, JobState.FAILED}),
                ),
            },
        )

    return deeds
