"""What the samples say now, for all sources together: queues, workers, schedules, and how far each can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from trackside.jobs.verdicts.drain import drain_s
from trackside.jobs.verdicts.facts import SourceView, is_alive, oldest_s, serves, waiting
from trackside.jobs.verdicts.memory import SourceMemory
from trackside.jobs.verdicts.queues import is_unserved
from trackside.model.jobs import JobsSample, JobState, WorkerNow
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.job_json import Json, moment, schedule_json


def samples(watch: JobsWatch) -> Iterator[tuple[SourceView, JobsSample]]:
    """Of the sources that can be read now."""
    for seen in watch.seen():
        if seen.view.sample is not None and not seen.view.error:
            yield seen.view, seen.view.sample


def sources_json(watch: JobsWatch) -> list[Json]:
    return [
        {
            "name": seen.view.name,
            "backend": seen.view.backend,
            "error": seen.view.error,
            "is_up": None if not seen.view.error and seen.view.sample is None else not seen.view.error,
            "looked_at": moment(seen.view.looked_ms),
            "sample_seconds": seen.sample_s,
            "interval_seconds": seen.interval_s,
            "fidelity": {
                measure.value: fidelity.value
                for measure, fidelity in watch.samplers[seen.view.name].source.fidelity.items()
            },
            "notes": [] if seen.view.sample is None else list(seen.view.sample.notes),
        }
        for seen in watch.seen()
    ]


def queues_json(watch: JobsWatch) -> list[Json]:
    memory = watch.memory()
    found = []
    for view, sample in samples(watch):
        of_source = memory.sources.get(view.name, SourceMemory())
        for queue in sample.queues:
            oldest = oldest_s(queue, sample.at_ms)
            drain = drain_s(of_source.depths.get(queue.name, ()), oldest)
            found.append(
                {
                    "source": view.name,
                    "queue": queue.name,
                    "counts": {state.value: count for state, count in queue.counts.items()},
                    "waiting": waiting(queue),
                    "prefetched": queue.prefetched,
                    "oldest_seconds": oldest,
                    "drain_seconds": None if drain == inf else drain,
                    "never_drains": drain == inf,
                    "is_paused": queue.is_paused,
                    "is_unserved": is_unserved(view, sample, queue, of_source),
                    "workers": [
                        worker.id
                        for worker in sample.workers
                        if serves(worker, queue.name) and is_alive(worker, sample.at_ms)
                    ],
                }
            )
    return found


def workers_json(watch: JobsWatch) -> list[Json]:
    """Those that are listed, and those that were within the last hour."""
    memory = watch.memory()
    found = []
    for view, sample in samples(watch):
        found += [_worker_json(view, worker, sample.at_ms) for worker in sample.workers]
        listed = {worker.id for worker in sample.workers}
        found += [
            {
                "source": view.name,
                "id": id,
                "status": "gone",
                "queues": list(seen.queues),
                "last_seen_at": moment(seen.seen_ms),
                "is_inferred": not view.knows_workers,
            }
            for id, seen in memory.sources.get(view.name, SourceMemory()).workers.items()
            if id not in listed
        ]
    return found


def schedules_json(watch: JobsWatch) -> list[Json]:
    return [schedule_json(view.name, schedule) for view, sample in samples(watch) for schedule in sample.schedules]


def running_count(watch: JobsWatch) -> int:
    """By the counts of the queues, which know of more than a sample shows."""
    return sum(
        max(
            sum(queue.counts.get(JobState.RUNNING, 0) for queue in sample.queues),
            len(sample.running),
        )
        for _, sample in samples(watch)
    )


def _worker_json(view: SourceView, worker: WorkerNow, at_ms: int) -> Json:
    return {
        "source": view.name,
        "id": worker.id,
        "status": "active" if is_alive(worker, at_ms) else "late",
        "state": worker.state,
        "is_busy": bool(worker.jobs),
        "queues": list(worker.queues),
        "jobs": list(worker.jobs),
        "last_seen_at": moment(worker.beat_ms),
        "expected_at": moment(worker.expected_ms),
        "succeeded": worker.succeeded,
        "failed_attempts": worker.failed_attempts,
        "busy_seconds": worker.busy_s,
        "host": worker.host,
        "process": worker.process,
        "version": worker.version,
        "started_at": moment(worker.started_ms),
        "clock_skew_seconds": worker.skew_s,
        "is_inferred": worker.is_inferred,
    }
