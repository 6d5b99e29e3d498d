"""The map of procrastinate, a Python library: its events, written by a trigger, are an exact timeline."""

from __future__ import annotations

from trackside.jobs.sql.catalog import Choice, ColumnsOf
from trackside.jobs.sql.table_map import SchedulesTable, TableMap, Times, WorkersTable
from trackside.model.jobs import JobState

_STATES = {
    "todo": JobState.QUEUED,
    "todo, again": JobState.RETRYING,
    "doing": JobState.RUNNING,
    "aborting": JobState.RUNNING,
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "aborted": JobState.CANCELLED,
}


def procrastinate(prefix: str = "") -> Choice:
    """3, and 2 which had no workers. Its events are an exact timeline, written by a trigger."""
    jobs, events = f"{prefix}procrastinate_jobs", f"{prefix}procrastinate_events"

    def chosen(columns_of: ColumnsOf) -> TableMap:
        has_workers = "worker_id" in columns_of(jobs)
        worker = "worker_id" if has_workers else ""
        return TableMap(
            backend="procrastinate",
            table=jobs,
            state="CASE WHEN j.status::text = 'todo' AND j.attempts > 0 THEN 'todo, again' ELSE j.status::text END",
            states=_STATES,
            # To the letter as in its own partial index.
            live="j.status IN ('todo', 'doing')",
            running="j.status = 'doing'",
            kind="task_name",
            queue="queue_name",
            enqueued="e.deferred",
            is_oldest_by_id=True,
            due="scheduled_at",
            started="e.started",
            finished="CASE WHEN j.status::text NOT IN ('todo', 'doing', 'aborting') THEN e.ended END",
            # Counted when an attempt ends.
            attempt="j.attempts + CASE WHEN j.status::text = 'doing' THEN 1 ELSE 0 END",
            worker=worker,
            payload="args",
            history=_history(events),
            extra={"priority": "priority", "lock": "lock", "queueing lock": "queueing_lock"},
            joins=f"LEFT JOIN LATERAL ({_times(events, 'j.id')}) e ON true",
            ended=_ended(jobs, events, worker),
            workers=WorkersTable(table=f"{prefix}procrastinate_workers", id="id", beat="last_heartbeat", late_s=30)
            if has_workers
            else None,
            schedules=SchedulesTable(
                table=f"{prefix}procrastinate_periodic_defers",
                name="concat_ws(' ', j.task_name, nullif(nullif(j.periodic_id, ''), j.task_name))",
                kind="task_name",
                queue=f"SELECT b.queue_name FROM {jobs} b WHERE b.id = j.job_id",
                last="defer_timestamp",
                times=Times.SECONDS,
            ),
            also_reads=(events,),
            notes=(
                "procrastinate keeps no traceback; a hook in the worker does",
                "procrastinate does not keep the rule of a periodic task, only when it was last deferred",
                "workers that delete jobs when they end leave no trace of them",
            ),
            indexes=(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS procrastinate_jobs_live_trackside ON {table}"
                " (queue_name, status, attempts, scheduled_at, id) WHERE status IN ('todo', 'doing');",
            ),
        )

    return chosen


def _ended(jobs: str, events: str, worker: str) -> TableMap:
    return TableMap(
        table=events,
        id="job_id",
        state="type",
        states={word: state for word, state in _STATES.items() if state.is_final},
        kind="b.task_name",
        queue="b.queue_name",
        enqueued="e.deferred",
        due="b.scheduled_at",
        started="e.started",
        finished="at",
        # The events have no index on their time.
        ended_by="id",
        attempt="b.attempts",
        worker="b.worker_id" if worker else "",
        joins=f"JOIN {jobs} b ON b.id = j.job_id"
        f" LEFT JOIN LATERAL ({_times(events, 'j.job_id', ' AND x.id < j.id')}) e ON true",
    )


def _times(events: str, job: str, before: str = "") -> str:
    return (
        "SELECT min(x.at) FILTER (WHERE x.type = 'deferred') AS deferred,"
        " max(x.at) FILTER (WHERE x.type = 'started') AS started,"
        " max(x.at) FILTER (WHERE x.type::text IN ('succeeded', 'failed', 'cancelled', 'aborted')) AS ended"
        f" FROM {events} x WHERE x.job_id = {job}{before}"
    )


def _history(events: str) -> str:
    ends = "'succeeded', 'failed', 'deferred_for_retry', 'cancelled', 'aborted'"
    outcome = "CASE WHEN n.type::text = 'deferred_for_retry' THEN 'retried'"
    outcome += " WHEN n.type::text = 'aborted' THEN 'cancelled' ELSE n.type::text END"
    return (
        f"SELECT json_agg(json_build_object('started', s.at, 'at', n.at, 'outcome', {outcome}) ORDER BY s.id)"
        f" FROM {events} s LEFT JOIN LATERAL (SELECT x.at, x.type FROM {events} x WHERE x.job_id = s.job_id"
        f" AND x.id > s.id AND x.type::text IN ({ends}) ORDER BY x.id LIMIT 1) n ON true"
        " WHERE s.job_id = j.id AND s.type = 'started'"
    )
