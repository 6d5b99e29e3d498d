"""Jobs of arq by what is asked for, and one of them with all that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.arq.look import MAX_FRONT, Look, Member, member_of, read_members
from trackside.jobs.arq.wire import (
    ABORTS,
    JOB,
    RESULT,
    RETRY,
    RUNNING,
    count_of,
    ended_job,
    fields_of,
    payloads,
    retries_of,
)
from trackside.jobs.ends import SortedEnd, chunks
from trackside.jobs.lanes import Found, Lane, matches, page_of, remembered
from trackside.jobs.payloads import IsSecret, shown
from trackside.jobs.redis_store import encoded
from trackside.model.jobs import Attempt, Job, JobDetail, JobQuery, JobsPage, JobState

MAX_READ = 4_000
_FINAL = frozenset(state for state in JobState if state.is_final)


def page(look: Look, query: JobQuery, after: str, limit: int, is_secret: IsSecret) -> JobsPage:
    lanes: dict[str, Lane] = {}
    is_cut = False
    if not query.states or query.states & _FINAL:
        look.results.read()
        is_cut = look.results.is_behind
        lanes[""] = remembered(_ended(look, query, is_secret))
    if not query.states or query.states - _FINAL:
        at_ms = look.store.now_ms()
        for queue in [query.queue] if query.queue else look.queues:
            running = _running(look, queue, at_ms, query, is_secret)
            lanes[f"running {queue}"] = remembered(running.values())
            if query.states != {JobState.RUNNING}:
                lanes[f"queue {queue}"] = _lane(look, queue, at_ms, query, (is_secret, frozenset(running)))
    found = page_of(lanes, after, limit, MAX_READ)
    return replace(found, is_cut=found.is_cut or is_cut)


def _ended(look: Look, query: JobQuery, is_secret: IsSecret) -> list[Found]:
    """Those that are still kept."""
    jobs = [job for job in look.results.latest.values() if matches(job, replace(query, text=""), ((), {}), is_secret)]
    keys = [RESULT + encoded(job.id) for job in jobs]
    calls: dict[bytes, bytes | None] = {}
    if query.text:
        # The newest, as far as they can be read at once.
        calls = payloads(look.store, keys[-MAX_READ:])
    asked = look.store.pipeline()
    for key in keys:
        asked.exists(key)
    found = []
    for job, key, is_there in zip(jobs, keys, look.store.answers(asked), strict=True):
        if is_there and (not query.text or matches(job, query, _call(calls.get(key)), is_secret)):
            at_ms = job.finished_ms or 0
            found.append(Found(at_ms, [at_ms, job.id], job))
    return found


def _call(data: bytes | None) -> tuple[Any, Any]:
    try:
        fields = fields_of(data)
    except ParseError:
        return (), {}
    return fields.get("a"), fields.get("k")


def _running(look: Look, queue: str, at_ms: int, query: JobQuery, is_secret: IsSecret) -> dict[bytes, Found]:
    """What runs is at the front, behind all that waits when the newest come first."""
    asked = look.store.pipeline()
    asked.zrange(queue, 0, MAX_FRONT - 1)
    (raws,) = look.store.answers(asked)
    asked = look.store.pipeline()
    for raw in raws or ():
        asked.exists(RUNNING + raw)
    raws = [raw for raw, runs in zip(raws or (), look.store.answers(asked), strict=True) if runs]
    asked = look.store.pipeline()
    for raw in raws:
        asked.zscore(queue, raw)
    scores = look.store.answers(asked)
    members = [member_of(raw, score) for raw, score in zip(raws, scores, strict=True) if score is not None]
    calls = _read(look, queue, members, at_ms)
    found = {}
    for one in members:
        if one.job is None or one.job.state is not JobState.RUNNING:
            continue
        job = _seen(look, one.job)
        since_ms = job.started_ms or one.due_ms
        is_wanted = matches(job, query, calls.get(one.raw, ((), {})), is_secret)
        found[one.raw] = Found(since_ms, [since_ms, one.id], job if is_wanted else None)
    return found


def _lane(look: Look, queue: str, at_ms: int, query: JobQuery, hidden: tuple[IsSecret, frozenset[bytes]]) -> Lane:
    is_secret, known = hidden

    def lane(position: Any) -> Iterator[Found]:
        if query.states == {JobState.QUEUED} and position is None:
            # Behind all that is not due.
            position = [at_ms + 1, ""]
        for chunk in chunks(look.store, SortedEnd(queue, position)):
            members = [member_of(raw, score) for raw, score in chunk if raw not in known]
            calls = _read(look, queue, members, at_ms)
            scores = dict(chunk)
            for one in members:
                is_wanted = one.job is not None and matches(one.job, query, calls.get(one.raw, ((), {})), is_secret)
                score = scores[one.raw]
                yield Found(score, [score, one.id], one.job if is_wanted else None)

    return lane


def _read(look: Look, queue: str, members: Sequence[Member], at_ms: int) -> dict[bytes, tuple[Any, Any]]:
    asked = look.store.pipeline()
    for one in members:
        asked.pttl(RUNNING + one.raw)
        asked.zscore(ABORTS, one.raw)
    answers = iter(look.store.answers(asked))
    aborts = set()
    for one in members:
        left_ms, abort = next(answers), next(answers)
        one.left_ms = left_ms if isinstance(left_ms, int) else -2
        if abort is not None:
            aborts.add(one.raw)
    return read_members(look.store, queue, members, aborts, at_ms)


def detail(look: Look, id: str, is_secret: IsSecret) -> JobDetail | None:
    raw = encoded(id)
    at_ms = look.store.now_ms()
    queues = look.queues
    asked = look.store.pipeline()
    asked.getrange(RETRY + raw, 0, 10)
    asked.pttl(JOB + raw)
    for queue in queues:
        asked.zscore(queue, raw)
    attempts, expires_ms, *scores = look.store.answers(asked)
    read = payloads(look.store, [JOB + raw, RESULT + raw])
    job_data, result_data = read.get(JOB + raw, b""), read.get(RESULT + raw, b"")
    queue, score = next(
        ((queue, score) for queue, score in zip(queues, scores, strict=True) if score is not None), ("", None)
    )
    if score is None and result_data != b"":
        return _of_result(id, result_data, is_secret)
    if score is None and job_data == b"":
        return None
    member = member_of(raw, score or 0)
    calls = _read(look, queue, [member], at_ms)
    job = member.job
    if job is None:
        return None
    args, kwargs = calls.get(raw, (None, None))
    extra = {"attempts begun": str(retries_of(attempts))} if retries_of(attempts) else {}
    if isinstance(expires_ms, int) and expires_ms >= 0:
        extra["expires in (s)"] = str(expires_ms // 1000)
    cannot = raw not in calls
    return JobDetail(
        job=_seen(look, job),
        args=("<cannot be shown>",) if cannot and job_data != b"" else _args(args, is_secret),
        kwargs=_kwargs(kwargs, is_secret),
        extra=extra if job_data != b"" else {**extra, "expired": "its call is gone: it will fail"},
    )


def _seen(look: Look, job: Job) -> Job:
    since_ms = look.running_since(job)
    return job if since_ms is None else replace(job, started_ms=since_ms)


def _of_result(id: str, data: bytes | None, is_secret: IsSecret) -> JobDetail:
    try:
        fields = fields_of(data or b"")
    except ParseError as error:
        reason = f"<cannot be shown: {error}>" if data else "<cannot be shown: too large>"
        unknown = Job(id=id, kind="?", queue="", state=JobState.SUCCEEDED, raw_state="complete, unknown how")
        return JobDetail(job=unknown, args=(reason,))
    job = ended_job(id, fields, is_secret)
    outcomes = {JobState.SUCCEEDED: "succeeded", JobState.CANCELLED: "cancelled"}
    last = Attempt(
        number=count_of(fields.get("t")) or 1,
        outcome=outcomes.get(job.state, "failed"),
        started_ms=job.started_ms,
        finished_ms=job.finished_ms,
        error=job.error,
    )
    return JobDetail(
        job=job,
        args=_args(fields.get("a"), is_secret),
        kwargs=_kwargs(fields.get("k"), is_secret),
        result=shown(fields.get("r"), is_secret),
        attempts=(last,),
    )


def _args(args: Any, is_secret: IsSecret) -> tuple[Any, ...]:
    return tuple(shown(args, is_secret)) if isinstance(args, list | tuple) else ()


def _kwargs(kwargs: Any, is_secret: IsSecret) -> dict[str, Any]:
    return shown(kwargs, is_secret) if isinstance(kwargs, dict) else {}
