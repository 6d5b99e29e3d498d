"""Maps of libraries that keep their jobs in one Postgres table, or in one and a log."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.jobs.sql.catalog import Choice, Column, ColumnsOf
from trackside.jobs.sql.table_map import PausesTable, SchedulesTable, TableMap
from trackside.model.jobs import JobState


def oban(prefix: str = "") -> Choice:
    table = TableMap(
        backend="oban",
        table=f"{prefix}oban_jobs",
        state="state",
        states={
            "available": JobState.QUEUED,
            "scheduled": JobState.SCHEDULED,
            "suspended": JobState.BLOCKED,
            "executing": JobState.RUNNING,
            "retryable": JobState.RETRYING,
            "completed": JobState.SUCCEEDED,
            "discarded": JobState.FAILED,
            "cancelled": JobState.CANCELLED,
        },
        kind="worker",
        queue="queue",
        enqueued="inserted_at",
        due="scheduled_at",
        started="attempted_at",
        finished="coalesce(j.completed_at, j.discarded_at, j.cancelled_at)",
        attempt="attempt",
        max_attempts="max_attempts",
        worker="j.attempted_by[1]",
        error="j.errors[array_upper(j.errors, 1)] ->> 'error'",
        history="array_to_json(j.errors)",
        payload="args",
        extra={"priority": "priority", "tags": "tags"},
        indexes=(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS oban_jobs_ended_trackside ON {table}"
            " ((coalesce(completed_at, discarded_at, cancelled_at)), id);",
        ),
    )
    return lambda _columns_of: table


def river(prefix: str = "") -> Choice:
    table = TableMap(
        backend="river",
        table=f"{prefix}river_job",
        state="state",
        states={
            "available": JobState.QUEUED,
            "scheduled": JobState.SCHEDULED,
            "pending": JobState.BLOCKED,
            "running": JobState.RUNNING,
            "retryable": JobState.RETRYING,
            "completed": JobState.SUCCEEDED,
            "discarded": JobState.FAILED,
            "cancelled": JobState.CANCELLED,
        },
        kind="kind",
        queue="queue",
        enqueued="created_at",
        due="scheduled_at",
        started="attempted_at",
        finished="finalized_at",
        attempt="attempt",
        max_attempts="max_attempts",
        worker="j.attempted_by[array_upper(j.attempted_by, 1)]",
        error="j.errors[array_upper(j.errors, 1)] ->> 'error'",
        history="array_to_json(j.errors)",
        payload="args",
        extra={"priority": "priority", "tags": "tags"},
        pauses=PausesTable(table=f"{prefix}river_queue", queue="name", where="j.paused_at IS NOT NULL"),
    )
    return lambda _columns_of: table


def pgqueuer(prefix: str = "") -> Choice:
    """Jobs are deleted when they end; the log has each step."""
    table, log = f"{prefix}pgqueuer", f"{prefix}pgqueuer_log"

    def chosen(columns_of: ColumnsOf) -> TableMap:
        columns = columns_of(table)
        return TableMap(
            backend="pgqueuer",
            table=table,
            states={"queued": JobState.QUEUED, "picked": JobState.RUNNING, "failed": JobState.FAILED},
            kind="entrypoint",
            queue="entrypoint",
            enqueued="created",
            due=_if_there(columns, "execute_after"),
            started="CASE WHEN j.status::text = 'picked' THEN j.updated END",
            beat="heartbeat",
            lease_s=30,
            attempt=_if_there(columns, "attempts"),
            worker=_if_there(columns, "queue_manager_id"),
            payload="payload",
            extra={"priority": "priority"},
            keeps_ended=False,
            ended=TableMap(
                table=log,
                id="job_id",
                states={
                    "successful": JobState.SUCCEEDED,
                    "exception": JobState.FAILED,
                    "canceled": JobState.CANCELLED,
                    "deleted": JobState.CANCELLED,
                },
                kind="entrypoint",
                queue="entrypoint",
                enqueued="e.queued",
                started="e.picked",
                finished="created",
                ended_by="id",
                newest="id",
                error="traceback" if "traceback" in columns_of(log) else "",
                joins="LEFT JOIN LATERAL (SELECT min(x.created) FILTER (WHERE x.status::text = 'queued') AS queued,"
                " max(x.created) FILTER (WHERE x.status::text = 'picked') AS picked"
                f" FROM {log} x WHERE x.job_id = j.job_id AND x.id < j.id) e ON true",
            ),
            schedules=SchedulesTable(
                table=f"{prefix}pgqueuer_schedules",
                name="entrypoint",
                kind="entrypoint",
                queue="entrypoint",
                rule="expression",
                last="last_run",
                next="next_run",
            ),
        )

    return chosen


def _if_there(columns: Mapping[str, Column], name: str) -> str:
    return name if name in columns else ""
