"""Maps of Rails' job libraries, whose states follow from several columns and tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trackside.jobs.sql.catalog import Choice, ColumnsOf
from trackside.jobs.sql.table_map import PausesTable, SchedulesTable, TableMap, WorkersTable
from trackside.model.jobs import JobState

_SOLID_STATES = {
    "ready": JobState.QUEUED,
    "scheduled": JobState.SCHEDULED,
    "blocked": JobState.BLOCKED,
    "claimed": JobState.RUNNING,
    "finished": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
}


def good_job(prefix: str = "") -> Choice:
    """3.15 and later, 4."""
    table, processes = f"{prefix}good_jobs", f"{prefix}good_job_processes"
    executions = f"{prefix}good_job_executions"

    def chosen(columns_of: ColumnsOf) -> TableMap:
        names_process = "locked_by_id" in columns_of(table)
        return TableMap(
            backend="good_job",
            table=table,
            state="CASE WHEN j.finished_at IS NOT NULL AND j.error IS NOT NULL THEN 'discarded'"
            " WHEN j.finished_at IS NOT NULL THEN 'succeeded' WHEN j.performed_at IS NOT NULL THEN 'running'"
            " WHEN j.error IS NOT NULL THEN 'retried' ELSE 'queued' END",
            states={
                "queued": JobState.QUEUED,
                "running": JobState.RUNNING,
                "retried": JobState.RETRYING,
                "succeeded": JobState.SUCCEEDED,
                "discarded": JobState.FAILED,
            },
            live="j.finished_at IS NULL",
            running="j.finished_at IS NULL AND j.performed_at IS NOT NULL",
            kind="coalesce(j.job_class, j.serialized_params ->> 'job_class')",
            queue="queue_name",
            enqueued="created_at",
            due="scheduled_at",
            started="performed_at",
            finished="finished_at",
            attempt="executions_count",
            worker="locked_by_id" if names_process else "",
            error="error",
            history="SELECT json_agg(json_build_object('started', x.created_at, 'at', x.finished_at, 'error', x.error,"
            " 'outcome', CASE WHEN x.finished_at IS NULL THEN 'running' WHEN x.error IS NULL THEN 'succeeded'"
            " ELSE 'failed' END) ORDER BY x.created_at)"
            f" FROM {executions} x WHERE x.active_job_id = j.active_job_id",
            payload="j.serialized_params -> 'arguments'",
            extra={"priority": "priority", "concurrency key": "concurrency_key", "cron key": "cron_key"},
            newest="created_at",
            workers=WorkersTable(
                table=processes,
                id="id",
                beat="updated_at",
                late_s=90,
                started="created_at",
                host="j.state ->> 'hostname'",
                process="j.state ->> 'pid'",
            ),
            also_reads=(executions,),
            indexes=(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS good_jobs_ended_trackside ON {table} (finished_at, id)"
                " WHERE finished_at IS NOT NULL;",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS good_jobs_newest_trackside ON {table} (created_at, id);",
            ),
        )

    return chosen


def solid_queue(prefix: str = "") -> Choice:
    """In Postgres, MySQL and SQLite. A job's state is the table that has its execution."""

    def named(name: str) -> str:
        return f"{prefix}solid_queue_{name}"

    def has(name: str) -> str:
        return f"EXISTS (SELECT 1 FROM {named(name)} x WHERE x.job_id = j.id)"

    def of_execution(name: str, column: str) -> str:
        return f"SELECT x.{column} FROM {named(name)} x WHERE x.job_id = j.id"

    table = TableMap(
        backend="solid_queue",
        table=named("jobs"),
        state=_solid_state(has),
        states=_SOLID_STATES,
        live=f"j.finished_at IS NULL AND NOT {has('failed_executions')}",
        running=f"j.id IN (SELECT x.job_id FROM {named('claimed_executions')} x)",
        kind="class_name",
        queue="queue_name",
        enqueued="created_at",
        due="scheduled_at",
        started=of_execution("claimed_executions", "created_at"),
        finished=f"coalesce(j.finished_at, ({of_execution('failed_executions', 'created_at')}))",
        worker=of_execution("claimed_executions", "process_id"),
        error=of_execution("failed_executions", "error"),
        payload="arguments",
        extra={"priority": "priority", "concurrency key": "concurrency_key"},
        workers=WorkersTable(
            table=named("processes"),
            id="id",
            beat="last_heartbeat_at",
            late_s=300,
            started="created_at",
            host="hostname",
            process="pid",
            where="j.kind = 'Worker'",
        ),
        schedules=SchedulesTable(
            table=named("recurring_tasks"),
            name="key",
            kind="coalesce(j.class_name, j.command)",
            queue="queue_name",
            rule="schedule",
            last=f"SELECT max(x.run_at) FROM {named('recurring_executions')} x WHERE x.task_key = j.key",
        ),
        pauses=PausesTable(table=named("pauses"), queue="queue_name"),
        also_reads=tuple(
            named(f"{name}_executions") for name in ("ready", "scheduled", "claimed", "blocked", "failed", "recurring")
        ),
        notes=("Solid Queue forgets when a job began once it has ended: run times need a hook",),
    )
    # When a job began is forgotten with its claim.
    table = replace(table, ended=replace(table, started="", worker="", workers=None, schedules=None, pauses=None))
    return lambda _columns_of: table


def _solid_state(has: Callable[[str], str]) -> str:
    return (
        f"CASE WHEN j.finished_at IS NOT NULL THEN 'finished' WHEN {has('failed_executions')} THEN 'failed'"
        f" WHEN {has('claimed_executions')} THEN 'claimed' WHEN {has('blocked_executions')} THEN 'blocked'"
        f" WHEN {has('ready_executions')} THEN 'ready' ELSE 'scheduled' END"
    )
