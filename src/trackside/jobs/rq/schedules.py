"""What enqueues RQ's jobs again and again: its own cron schedulers, and rq-scheduler."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.payloads import decoded
from trackside.jobs.redis_store import text
from trackside.jobs.rq.job_hash import FIELDS, epoch_ms, iso_ms, job_hash
from trackside.jobs.rq.keys import Keys
from trackside.model.jobs import ScheduleNow

MAX_SCHEDULES = 200
MAX_SCHEDULERS = 50
_MAX_META_BYTES = 64 << 10


class Schedules:
    """Asks in two steps, beside what else is asked."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._schedulers: list[str] = []
        self._lasts: dict[str, int | None] = {}
        self._repeated: list[tuple[str, float]] = []

    def ask_names(self, pipeline: Any) -> None:
        pipeline.zrevrange(self._keys.of("cron_schedulers"), 0, MAX_SCHEDULERS - 1)
        pipeline.zrevrange(self._keys.of("cron_jobs"), 0, MAX_SCHEDULES - 1, withscores=True)
        pipeline.zrange(self._keys.of("scheduler", "scheduled_jobs"), 0, MAX_SCHEDULES - 1, withscores=True)

    def take_names(self, answers: Iterator[Any]) -> None:
        self._schedulers = [text(name) for name in next(answers) or ()]
        self._lasts = {text(name): epoch_ms(score) for name, score in next(answers) or ()}
        self._repeated = [(text(id), score) for id, score in next(answers) or ()]

    def ask(self, pipeline: Any) -> None:
        for name in self._schedulers:
            pipeline.hget(self._keys.of("cron_scheduler", name), "cron_jobs")
        for id, _ in self._repeated:
            pipeline.hmget(self._keys.job(id), *FIELDS, "meta")

    def take(self, answers: Iterator[Any]) -> tuple[ScheduleNow, ...]:
        found: dict[tuple[str, str, str], ScheduleNow] = {}
        for _ in self._schedulers:
            for one in _cron_jobs(next(answers), self._lasts):
                # Several schedulers may run for safety; the one that enqueued last knows best.
                same = found.get((one.name, one.queue, one.rule))
                if same is None or (one.last_ms or 0) > (same.last_ms or 0):
                    found[one.name, one.queue, one.rule] = one
        for id, score in self._repeated:
            repeated = _repeated_job(id, score, next(answers))
            if repeated is not None:
                found[id, repeated.queue, repeated.rule] = repeated
        return tuple(found.values())[:MAX_SCHEDULES]


def _cron_jobs(value: bytes | None, lasts: Mapping[str, int | None]) -> Iterable[ScheduleNow]:
    try:
        listed = json.loads(value) if value else []
    except (ValueError, RecursionError):
        return
    for one in listed[:MAX_SCHEDULES] if isinstance(listed, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("func_name"), str):
            continue
        name = str(one.get("name") or one["func_name"])
        yield ScheduleNow(
            name=name,
            kind=one["func_name"],
            queue=str(one.get("queue_name") or ""),
            rule=_rule(one.get("interval"), one.get("cron")),
            last_ms=iso_ms(str(one.get("latest_enqueue_time") or "")) or lasts.get(name),
            next_ms=iso_ms(str(one.get("next_enqueue_time") or "")),
        )


def _repeated_job(id: str, score: float, values: list[bytes | None] | None) -> ScheduleNow | None:
    """rq-scheduler keeps what is repeated among what is run once, later; its rule is in the job's notes."""
    *fields, meta = values or [None]
    read = job_hash(id, fields or None)
    if read is None or not meta or len(meta) > _MAX_META_BYTES:
        return None
    try:
        notes = decoded(meta)
    except ParseError:
        return None
    rule = _rule(notes.get("interval"), notes.get("cron_string")) if isinstance(notes, dict) else ""
    return ScheduleNow(id, read.job.kind, read.job.queue, rule, next_ms=epoch_ms(score)) if rule else None


def _rule(interval: object, cron: object) -> str:
    return str(cron) if isinstance(cron, str) and cron else f"every {interval} s" if interval else ""
