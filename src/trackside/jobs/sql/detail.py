"""One job with all that its table tells."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from trackside.jobs.failures import shown_traceback
from trackside.jobs.payloads import IsSecret
from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.finding import sendable
from trackside.jobs.sql.payload import MAX_CHARACTERS, called_with, shown
from trackside.jobs.sql.rows import error_line, job_of, milliseconds, text_of
from trackside.jobs.sql.statements import Statements, part_text
from trackside.jobs.sql.table_map import Times
from trackside.model.jobs import Attempt, Job, JobDetail, JobState

_MAX_HISTORY = 262_144
_MAX_ATTEMPTS = 100
_MAX_EXTRA = 1_000
_OUTCOMES = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.RUNNING: "running",
}
_WHOLE = ("bigint", "integer", "smallint", "int", "tinyint", "mediumint")


def detail(look: Look, statements: Statements, id: str, is_secret: IsSecret) -> JobDetail | None:
    wanted = _id_of(statements, id)
    if wanted is None:
        return None
    table, dialect = statements.table, statements.dialect
    labels = list(table.extra)
    texts = [
        part_text(statements, "payload", MAX_CHARACTERS + 1),
        part_text(statements, "result", MAX_CHARACTERS + 1),
        part_text(statements, "error", MAX_CHARACTERS),
        part_text(statements, "history", _MAX_HISTORY),
        *(dialect.text(dialect.sql(table.extra[label]), _MAX_EXTRA) for label in labels),
    ]
    rows = look(
        f"SELECT {statements.columns()}, {', '.join(texts)} {statements.from_joined}"
        f" WHERE {statements.part('id')} = {dialect.placeholder} LIMIT 1",
        [wanted],
    )
    if not rows:
        return None
    ((at_ms,),) = look(statements.now)
    job = job_of(statements.job_row(rows[0]), table, int(at_ms))
    payload, result, error, history, *extra = rows[0][-len(texts) :]
    args, kwargs = called_with(shown(payload, is_secret))
    return JobDetail(
        job,
        args=args,
        kwargs=kwargs,
        result=shown(result, is_secret),
        attempts=_attempts(text_of(history)) or _last_attempt(job, text_of(error)),
        extra={label: text_of(value) for label, value in zip(labels, extra, strict=True) if value is not None},
    )


def _id_of(statements: Statements, id: str) -> str | None:
    """None: no row can have it; asking would be an error in Postgres."""
    kind = statements.kind_of("id")
    if kind == "uuid":
        try:
            return str(uuid.UUID(id))
        except ValueError:
            return None
    if kind in _WHOLE:
        return id if id.isascii() and id.removeprefix("-").isdigit() and len(id) < 19 else None
    return sendable(id)


def _attempts(history: str) -> tuple[Attempt, ...]:
    try:
        entries = json.loads(history) if history else None
    except (ValueError, RecursionError):
        return ()
    if not isinstance(entries, list):
        return ()
    found = [_attempt(number, entry) for number, entry in enumerate(entries, 1) if isinstance(entry, dict)]
    return tuple(found[-_MAX_ATTEMPTS:])


def _attempt(number: int, entry: Mapping[str, Any]) -> Attempt:
    text = text_of(entry.get("error"))
    trace = entry.get("trace")
    trace = "\n".join(map(str, trace)) if isinstance(trace, list) else text_of(trace)
    if not trace and "\n" in text:
        trace = text
    counted = entry.get("attempt")
    return Attempt(
        counted if isinstance(counted, int) else number,
        text_of(entry.get("outcome")) or ("failed" if text else "running"),
        started_ms=milliseconds(entry.get("started"), Times.TIMESTAMP),
        finished_ms=milliseconds(entry.get("at"), Times.TIMESTAMP),
        worker=text_of(entry.get("worker")) or None,
        error=error_line(text) or None,
        traceback=shown_traceback(trace[:MAX_CHARACTERS]) or None,
    )


def _last_attempt(job: Job, error: str) -> tuple[Attempt, ...]:
    """Where the library keeps only the last one."""
    outcome = _OUTCOMES.get(job.state) or ("retried" if job.state is JobState.RETRYING else "")
    if not outcome or (job.started_ms is None and not error):
        return ()
    return (
        Attempt(
            job.attempt or 1,
            outcome,
            started_ms=job.started_ms,
            finished_ms=job.finished_ms,
            worker=job.worker,
            error=job.error,
            traceback=shown_traceback(_trace_in(error)) or None,
        ),
    )


def _trace_in(error: str) -> str:
    """Of the column of errors: all of it where it has lines, or what JSON in it calls so. "": there is none."""
    error = error.strip()
    if not error.startswith("{"):
        return error if "\n" in error else ""
    try:
        found = json.loads(error)
    except (ValueError, RecursionError):
        return error if "\n" in error else ""
    trace = found.get("traceback") or found.get("backtrace")
    if isinstance(trace, list):
        return "\n".join(map(str, trace))
    return trace.strip() if isinstance(trace, str) else ""
