"""The map of apalis, a Rust library: both lines of its Postgres tables."""

from __future__ import annotations

from trackside.jobs.sql.catalog import Choice, ColumnsOf
from trackside.jobs.sql.table_map import TableMap, WorkersTable
from trackside.model.jobs import JobState

_WILL_BE_RETRIED = "j.status = 'Failed' AND j.attempts < j.max_attempts"
_TO_BE_RETRIED = "Failed, to be retried"
_STATES = {
    "Pending": JobState.QUEUED,
    "Queued": JobState.QUEUED,
    "Scheduled": JobState.SCHEDULED,
    "Running": JobState.RUNNING,
    _TO_BE_RETRIED: JobState.RETRYING,
    "Done": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Killed": JobState.FAILED,
}


def apalis(prefix: str = "") -> Choice:
    """0.7, and 1.0 whose jobs are bytes and whose results are JSON."""
    schema = prefix or "apalis."

    def chosen(columns_of: ColumnsOf) -> TableMap:
        table = f"{schema}jobs"
        is_1 = "last_result" in columns_of(table)
        return TableMap(
            backend="apalis",
            table=table,
            state=f"CASE WHEN {_WILL_BE_RETRIED} THEN '{_TO_BE_RETRIED}' ELSE j.status END",
            states=_STATES,
            live=f"j.status IN ('Pending', 'Queued', 'Scheduled', 'Running') OR ({_WILL_BE_RETRIED})",
            running="j.status = 'Running'",
            kind="job_type",
            queue="job_type",
            # A failed attempt leaves the first due time behind.
            due=f"CASE WHEN {_WILL_BE_RETRIED} THEN greatest(j.run_at, j.done_at) ELSE j.run_at END",
            started="lock_at",
            finished="done_at",
            attempt="attempts",
            max_attempts="max_attempts",
            worker="lock_by",
            error="coalesce(j.last_result ->> 'Err', '')" if is_1 else "last_error",
            payload="job",
            result="j.last_result -> 'Ok'" if is_1 else "",
            extra={"priority": "priority"} if "priority" in columns_of(table) else {},
            workers=WorkersTable(
                table=f"{schema}workers",
                id="id",
                beat="last_seen",
                late_s=60,
                queue="worker_type",
                started="started_at" if "started_at" in columns_of(f"{schema}workers") else "",
            ),
            notes=("apalis keeps only the last failure of a job", "throughput is exact until `vacuum` deletes jobs"),
            indexes=(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_live_trackside ON {table} (status, job_type, run_at);",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_ended_trackside ON {table} (done_at, id)"
                " WHERE done_at IS NOT NULL;",
            ),
        )

    return chosen
