"""A plain table of jobs, as teams write it themselves: its usual columns found by their names."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.exceptions import SourceError
from trackside.jobs.sql.catalog import Choice, Column, ColumnsOf
from trackside.jobs.sql.table_map import TableMap, Times
from trackside.model.jobs import JobState

_WORDS = {
    JobState.QUEUED: ("queued", "pending", "available", "todo", "ready", "new", "waiting"),
    JobState.SCHEDULED: ("scheduled", "delayed"),
    JobState.RUNNING: ("processing", "running", "doing", "started", "executing", "in_progress", "active"),
    JobState.RETRYING: ("retrying", "retryable", "retry"),
    JobState.BLOCKED: ("blocked", "paused", "on_hold"),
    JobState.SUCCEEDED: ("succeeded", "completed", "done", "finished", "success", "complete"),
    JobState.FAILED: ("failed", "dead", "discarded", "error", "errored"),
    JobState.CANCELLED: ("cancelled", "canceled", "aborted"),
}
USUAL_STATES: Mapping[str, JobState] = {word: state for state, words in _WORDS.items() for word in words}
"""What the words mean that teams use for a column `status`."""

_USUAL_NAMES = {
    "id": ("id", "job_id", "uuid"),
    "state": ("status", "state"),
    "kind": ("kind", "type", "job_type", "task", "task_name", "name", "job_name"),
    "queue": ("queue", "queue_name"),
    "enqueued": ("created_at", "enqueued_at", "inserted_at", "created"),
    "due": ("run_at", "scheduled_at", "due_at", "scheduled_for", "available_at"),
    "started": ("started_at", "processing_started_at", "picked_at", "attempted_at"),
    "finished": ("finished_at", "completed_at", "ended_at", "done_at"),
    "attempt": ("attempts", "attempt", "retry_count"),
    "max_attempts": ("max_attempts", "max_retries"),
    "worker": ("worker", "worker_id", "locked_by", "claimed_by"),
    "lease_until": ("lease_until", "locked_until", "lease_expires_at"),
    "beat": ("heartbeat_at", "last_heartbeat", "heartbeat"),
    "error": ("error", "last_error", "error_message"),
    "payload": ("payload", "args", "data", "params", "input"),
    "result": ("result", "output"),
}
_USUAL_LEASE_S = 60.0


def plain(table: str = "jobs") -> Choice:
    """A table with columns of usual names: `id`, `status`, `queue`, `created_at`, `run_at` … Those that are there."""

    def chosen(columns_of: ColumnsOf) -> TableMap:
        columns = columns_of(table)
        found = {part: next((name for name in names if name in columns), "") for part, names in _USUAL_NAMES.items()}
        for part, name in found.items():
            if part in ("id", "state") and columns and not name:
                raise SourceError(
                    f"table {table} has no column for {part!r} ({' or '.join(_USUAL_NAMES[part])});"
                    f" there are: {', '.join(columns)}. A map in the configuration names another one"
                )
        return TableMap(
            table=table,
            states=USUAL_STATES,
            lease_s=0 if found["lease_until"] else _USUAL_LEASE_S,
            times=_times(columns, found["enqueued"] or found["finished"]),
            **{part: name for part, name in found.items() if name},  # type: ignore[arg-type]
        )

    return chosen


def _times(columns: Mapping[str, Column], name: str) -> Times:
    """Numbers are seconds; who counts milliseconds has to say so."""
    kind = columns[name].kind if name in columns else ""
    is_number = any(word in kind for word in ("int", "real", "double", "numeric", "decimal", "float"))
    return Times.SECONDS if is_number else Times.TIMESTAMP
