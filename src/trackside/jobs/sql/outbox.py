"""Trackside's own work queue, as applications keep it in their databases."""

from __future__ import annotations

from trackside.jobs.sql.table_map import TableMap, Times, WorkersTable
from trackside.model.jobs import JobState

TABLE = "trackside_work"
_LATE_S = 60.0


def outbox(table: str = TABLE) -> TableMap:
    """`table` as it was given to `WorkQueue`; its workers are in a table beside it."""
    return TableMap(
        table=table,
        backend="outbox",
        # Work that failed is queued for its next attempt; nobody else needs to tell it from what is new.
        state="CASE WHEN j.status = 'queued' AND j.attempts > 0 THEN 'retrying' ELSE j.status END",
        states={
            "queued": JobState.QUEUED,
            "retrying": JobState.RETRYING,
            "running": JobState.RUNNING,
            "succeeded": JobState.SUCCEEDED,
            "dead": JobState.FAILED,
            "cancelled": JobState.CANCELLED,
        },
        live="j.status IN ('queued', 'running')",
        running="j.status = 'running'",
        kind="kind",
        queue="queue",
        enqueued="created_ms",
        due="due_ms",
        started="started_ms",
        finished="finished_ms",
        times=Times.MILLISECONDS,
        attempt="attempts",
        max_attempts="max_attempts",
        worker="worker",
        lease_until="lease_until_ms",
        error="error",
        payload="payload",
        extra={"idempotency key": "idempotency_key", "priority": "priority"},
        newest="id",
        workers=WorkersTable(
            table=f"{table}_workers",
            id="id",
            queue="queue",
            beat="beat_at",
            started="started_at",
            host="host",
            process="process",
            late_s=_LATE_S,
        ),
    )
