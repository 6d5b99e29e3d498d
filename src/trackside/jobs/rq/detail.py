"""All that RQ knows of one job."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.failures import raised_last, shown_error, shown_traceback
from trackside.jobs.payloads import IsSecret, inflated, shown
from trackside.jobs.redis_store import RedisStore, text
from trackside.jobs.rq.attempts import MAX_TRACEBACK_BYTES, Stream, attempts, result
from trackside.jobs.rq.job_hash import FIELDS, JobHash, epoch_ms, job_hash
from trackside.jobs.rq.keys import Keys
from trackside.jobs.rq.payload import call_of
from trackside.model.jobs import Attempt, JobDetail, JobState

MAX_PAYLOAD_BYTES = 1 << 20
MAX_RELATIVES = 200
_EXTRA = {
    "timeout": "time-out (s)",
    "result_ttl": "result kept (s)",
    "failure_ttl": "failure kept (s)",
    "ttl": "may wait (s)",
    "retries_left": "retries left",
    "retry_intervals": "retry intervals (s)",
    "repeats_left": "repeats left",
    "group_id": "group",
    "rate_limit_key": "rate limit",
    "success_callback_name": "on success",
    "failure_callback_name": "on failure",
    "last_heartbeat": "last heartbeat",
}


def detail_of(store: RedisStore, keys: Keys, id: str, is_secret: IsSecret) -> JobDetail | None:
    asked = store.pipeline()
    asked.hmget(keys.job(id), FIELDS)
    asked.hmget(keys.job(id), *_EXTRA, "dependency_ids", "dependency_id")
    asked.hstrlen(keys.job(id), "data")
    asked.hstrlen(keys.job(id), "exc_info")
    asked.xrevrange(keys.results(id), count=10)
    asked.srandmember(keys.of("job", id, "dependents"), MAX_RELATIVES)
    asked.zrange(keys.of("executions", id), 0, 9)
    values, more, data_size, trace_size, stream, dependents, executions = store.answers(asked)
    read = job_hash(id, values)
    if read is None:
        return None
    *extra, parents, parent = (text(value) for value in more or [None] * (len(_EXTRA) + 2))
    asked = store.pipeline()
    asked.time()
    asked.zscore(keys.of("scheduled", read.job.queue), id)
    asked.hget(keys.job(id), "data" if 0 < (data_size or 0) <= MAX_PAYLOAD_BYTES else "status")
    asked.hget(keys.job(id), "exc_info" if 0 < (trace_size or 0) <= MAX_TRACEBACK_BYTES else "status")
    for execution in executions or ():
        asked.pttl(keys.execution(f"{id}:{text(execution)}"))
    (seconds, _), due, data, trace, *lefts_ms = store.answers(asked)
    kind, args, kwargs = _call(read, data if data_size and data_size <= MAX_PAYLOAD_BYTES else b"", is_secret)
    runs = _attempts(stream, trace if trace_size and trace_size <= MAX_TRACEBACK_BYTES else b"", read)
    leases_ms = [int(seconds) * 1000 + left for left in lefts_ms if isinstance(left, int) and left >= 0]
    has_failed = read.job.state in (JobState.FAILED, JobState.RETRYING)
    job = replace(
        read.job,
        kind=kind,
        due_ms=epoch_ms(due) if due is not None else None,
        worker=read.job.worker or (runs[-1].worker if runs else None),
        lease_until_ms=max(leases_ms) if leases_ms and read.job.state is JobState.RUNNING else None,
        error=runs[-1].error if runs and has_failed else None,
    )
    return JobDetail(
        job=job,
        args=args,
        kwargs=kwargs,
        result=result(stream, is_secret),
        attempts=runs,
        parents=_parents(parents, parent),
        children=tuple(sorted(text(member).removeprefix(keys.job("")) for member in dependents or ())),
        # A rate limit or a group may be named by whom it is for, and that by a token.
        extra={label: shown_error(value) for label, value in zip(_EXTRA.values(), extra, strict=True) if value},
    )


def _call(read: JobHash, data: bytes | None, is_secret: IsSecret) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if not data:
        return read.job.kind, (), {}
    try:
        name, args, kwargs = call_of(data)
    except ParseError as error:
        return read.job.kind, (f"<cannot be shown: {error}>",), {}
    listed = shown(args if isinstance(args, list | tuple) else [args], is_secret)
    named = shown(kwargs if isinstance(kwargs, dict) else {}, is_secret)
    return name, tuple(listed), named


def _attempts(stream: Stream | None, packed: bytes | None, read: JobHash) -> tuple[Attempt, ...]:
    found = attempts(stream)
    if found or not packed:
        return found
    # Where Redis had no streams, RQ kept the last traceback with the job.
    try:
        trace = inflated(packed, MAX_TRACEBACK_BYTES).decode("utf-8", "backslashreplace").strip()
    except ParseError:
        return ()
    job = read.job
    return (
        Attempt(1, "failed", job.started_ms, job.finished_ms, job.worker, raised_last(trace), shown_traceback(trace)),
    )


def _parents(listed: str, single: str) -> tuple[str, ...]:
    try:
        found = json.loads(listed) if listed else []
    except (ValueError, RecursionError):
        found = []
    ids = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    return tuple(ids[:MAX_RELATIVES]) or ((single,) if single else ())
