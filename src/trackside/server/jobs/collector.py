"""Jobs as metrics: labels are sources, queues, kinds and states only, never a worker or a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from trackside.jobs.ledger.cells import Cell, SeriesKey
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.sketch import Sketch
from trackside.jobs.verdicts.drain import drain_s
from trackside.jobs.verdicts.facts import Limits, SourceView, is_alive, oldest_s, waiting
from trackside.jobs.verdicts.memory import Memory, SourceMemory
from trackside.jobs.verdicts.queues import is_unserved
from trackside.jobs.verdicts.running import orphans
from trackside.jobs.verdicts.verdict import Verdict
from trackside.model.jobs import JobsSample, JobState, QueueNow, WorkerNow
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.jobs.sampler import Seen
from trackside.server.jobs.watch import JobsWatch

BOUNDS = tuple(range(-6, 13))
"""Of histograms, as powers of two: 1/64 s to 68 minutes. Sketches count exactly up to these."""
_FINAL = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED, Outcome.LOST)
Totals = Sequence[tuple[SeriesKey, Cell]]
Values = Iterable[tuple[Labels, float]]
GAUGE, COUNTER = MetricType.GAUGE, MetricType.COUNTER


def job_families(watch: JobsWatch, apalis_prefix: str = "apalis") -> list[MetricFamily]:
    """Everything. `apalis_prefix`: of the names under which dashboards for apalis ask; "" for none."""
    verdicts, totals = watch.verdicts(), watch.ledger.totals()
    seen, memory = watch.seen(), watch.memory()
    families = [
        *source_families(seen),
        *queue_families(seen, memory),
        *worker_families(seen, memory, watch.expectations.limits),
        *total_families(totals),
        *verdict_families(verdicts, memory),
    ]
    if apalis_prefix:
        families += apalis_families(seen, totals, apalis_prefix)
    return families


def source_families(seen: Sequence[Seen]) -> list[MetricFamily]:
    of = [(Labels.of(source=one.view.name), one) for one in seen]
    return [
        _family(
            "trackside_source_up",
            GAUGE,
            "Whether the last look at a job source succeeded.",
            ((labels, float(not one.view.error)) for labels, one in of if one.view.error or one.view.sample),
        ),
        _family(
            "trackside_source_sample_seconds",
            GAUGE,
            "How long the last look at a job source took.",
            ((labels, one.sample_s) for labels, one in of if one.sample_s is not None),
        ),
        _family(
            "trackside_source_interval_seconds",
            GAUGE,
            "How often a job source is looked at.",
            ((labels, one.interval_s) for labels, one in of),
        ),
    ]


def queue_families(seen: Sequence[Seen], memory: Memory) -> list[MetricFamily]:
    queues = list(_queues(seen))
    return [
        _family(
            "trackside_queue_jobs",
            GAUGE,
            "Jobs now, by state. Of final states the back-end may remember only the latest.",
            (
                (Labels.of(source=view.name, queue=queue.name, state=state.value), float(count))
                for view, _, queue in queues
                for state, count in queue.counts.items()
            ),
        ),
        _family(
            "trackside_queue_oldest_seconds",
            GAUGE,
            "How long the oldest due job waits; 0 when none does.",
            _of_queues(queues, lambda view, sample, queue: _oldest(sample, queue)),
        ),
        _family(
            "trackside_queue_drain_seconds",
            GAUGE,
            "How long the queue takes to empty at the rate of the last minutes; +Inf: never.",
            _of_queues(
                queues,
                lambda view, sample, queue: drain_s(
                    memory.sources.get(view.name, SourceMemory()).depths.get(queue.name, ()),
                    oldest_s(queue, sample.at_ms),
                ),
            ),
        ),
        _family(
            "trackside_queue_unserved",
            GAUGE,
            "1 while jobs are due and no live worker consumes the queue.",
            _of_queues(
                queues,
                lambda view, sample, queue: float(
                    is_unserved(view, sample, queue, memory.sources.get(view.name, SourceMemory()))
                ),
            ),
        ),
    ]


def worker_families(seen: Sequence[Seen], memory: Memory, limits: Limits) -> list[MetricFamily]:
    workers: dict[Labels, float] = {}
    abandoned: list[tuple[Labels, float]] = []
    for view, sample in _readable(seen):
        if view.knows_workers:
            for state in ("busy", "idle", "late"):
                workers[Labels.of(source=view.name, state=state)] = 0.0
        for worker in sample.workers:
            labels = Labels.of(source=view.name, state=_state(worker, sample.at_ms))
            workers[labels] = workers.get(labels, 0.0) + 1
        lost = orphans(view, memory.sources.get(view.name, SourceMemory()), limits)
        abandoned.append((Labels.of(source=view.name), float(len(lost))))
    skews = [
        (Labels.of(source=view.name), max(abs(skew) for skew in known))
        for view, sample in _readable(seen)
        if (known := [worker.skew_s for worker in sample.workers if worker.skew_s is not None])
    ]
    return [
        _family(
            "trackside_clock_skew_seconds",
            GAUGE,
            "How far the clock of any worker is from the back-end's, at most.",
            skews,
        ),
        _family("trackside_workers", GAUGE, "Workers now: busy, idle, or late to say that they live.", workers.items()),
        _family(
            "trackside_jobs_orphaned",
            GAUGE,
            "Jobs that count as running though their lease is over or their worker is gone.",
            abandoned,
        ),
    ]


def total_families(totals: Totals) -> list[MetricFamily]:
    return [
        _family(
            "trackside_jobs_finished_total",
            COUNTER,
            "Jobs that ended for good, by final state.",
            _summed(totals, lambda key: _labels(key, state=key.outcome.value) if key.outcome in _FINAL else None),
        ),
        _family(
            "trackside_job_attempts_total",
            COUNTER,
            "Attempts that ended, by result; a job that was retried has several.",
            _summed(totals, lambda key: _labels(key, result=key.outcome.value)),
        ),
        _histogram(
            "trackside_job_wait_seconds",
            "How long jobs that were due waited for a worker.",
            ((_labels(key), cell.wait) for key, cell in totals),
        ),
        _histogram(
            "trackside_job_run_seconds",
            "How long attempts ran.",
            ((_labels(key), cell.run) for key, cell in totals),
        ),
        _family(
            "trackside_job_cost_usd_total",
            COUNTER,
            "What attempts cost, as far as they said.",
            ((labels, cost) for labels, cost in _summed(totals, _labels, lambda cell: cell.cost_usd) if cost),
        ),
    ]


def verdict_families(verdicts: Sequence[Verdict], memory: Memory) -> list[MetricFamily]:
    counts: dict[Labels, float] = {}
    for verdict in verdicts:
        labels = Labels.of(
            verdict=verdict.kind.value,
            severity=verdict.severity.value,
            source=verdict.source,
            queue=verdict.queue,
        )
        counts[labels] = counts.get(labels, 0.0) + 1
    of = [(Labels.of(source=name), one) for name, one in memory.sources.items()]
    return [
        _family("trackside_jobs_verdicts", GAUGE, "What is wrong now, or that nothing is.", counts.items()),
        _family(
            "trackside_jobs_duplicated_total",
            COUNTER,
            "Jobs that ran in two places at once.",
            ((labels, float(one.duplicated_total)) for labels, one in of),
        ),
        _family(
            "trackside_schedule_missed_total",
            COUNTER,
            "Times of schedules that came and went without a run.",
            ((labels, float(one.missed_total)) for labels, one in of),
        ),
        _family(
            "trackside_job_times_clamped_total",
            COUNTER,
            "Jobs that waited or ran for less than nothing by the clocks of several machines: counted as 0.",
            ((labels, float(one.clamped_total)) for labels, one in of),
        ),
    ]


def apalis_families(seen: Sequence[Seen], totals: Totals, prefix: str = "apalis") -> list[MetricFamily]:
    """What dashboards for apalis expect of it, and what no version of it exposes."""
    names = {one.view.name for one in seen if one.view.backend == "apalis"}
    of = [(key, cell) for key, cell in totals if key.source in names]
    running = [
        (Labels.of(source=view.name, queue=queue.name), float(queue.counts.get(JobState.RUNNING, 0)))
        for view, _, queue in _queues(seen)
        if view.name in names
    ]
    return [
        _family(f"{prefix}_jobs_total", COUNTER, "Attempts that ended.", _summed(of, _labels)),
        _family(
            f"{prefix}_jobs_failed_total",
            COUNTER,
            "Attempts that failed, those that were retried too.",
            _summed(of, _labels, lambda cell: cell.count, lambda key: key.outcome.is_failure),
        ),
        _histogram(
            f"{prefix}_jobs_duration_seconds", "How long attempts ran.", ((_labels(key), cell.run) for key, cell in of)
        ),
        _family(f"{prefix}_active_jobs", GAUGE, "Jobs that run now.", running),
    ]


def _labels(key: SeriesKey, **more: str) -> Labels:
    return Labels.of({"source": key.source, "queue": key.queue, "kind": key.kind, **more})


def _summed(
    totals: Totals,
    labels_of: Callable[[SeriesKey], Labels | None],
    amount: Callable[[Cell], float] = lambda cell: cell.count,
    is_counted: Callable[[SeriesKey], bool] = lambda key: True,
) -> Values:
    """A series that is not counted is there all the same, at 0: a rate must not begin with the first failure."""
    found: dict[Labels, float] = {}
    for key, cell in totals:
        labels = labels_of(key)
        if labels is not None:
            found[labels] = found.get(labels, 0.0) + (amount(cell) if is_counted(key) else 0.0)
    return found.items()


def _histogram(name: str, help: str, sketches: Iterable[tuple[Labels, Sketch]]) -> MetricFamily:
    merged: dict[Labels, Sketch] = {}
    for labels, sketch in sketches:
        merged.setdefault(labels, Sketch()).merge(sketch)
    samples: list[Sample] = []
    for labels, sketch in merged.items():
        count = float(sketch.count)
        samples += [
            Sample(f"{name}_bucket", labels.merged(Labels.of(le=repr(2.0**bound))), float(sketch.count_within(bound)))
            for bound in BOUNDS
        ]
        samples.append(Sample(f"{name}_bucket", labels.merged(Labels.of(le="+Inf")), count))
        samples.append(Sample(f"{name}_sum", labels, sketch.total_s))
        samples.append(Sample(f"{name}_count", labels, count))
    return MetricFamily(name, MetricType.HISTOGRAM, help, tuple(samples))


def _family(name: str, type: MetricType, help: str, values: Values) -> MetricFamily:
    return MetricFamily(name, type, help, tuple(Sample(name, labels, value) for labels, value in values))


def _readable(seen: Sequence[Seen]) -> Iterator[tuple[SourceView, JobsSample]]:
    """A source that cannot be read now has no gauges: what was is not what is."""
    for one in seen:
        if one.view.sample is not None and not one.view.error:
            yield one.view, one.view.sample


def _queues(seen: Sequence[Seen]) -> Iterator[tuple[SourceView, JobsSample, QueueNow]]:
    for view, sample in _readable(seen):
        for queue in sample.queues:
            yield view, sample, queue


def _of_queues(
    queues: Iterable[tuple[SourceView, JobsSample, QueueNow]],
    value: Callable[[SourceView, JobsSample, QueueNow], float | None],
) -> Iterator[tuple[Labels, float]]:
    for view, sample, queue in queues:
        number = value(view, sample, queue)
        if number is not None:
            yield Labels.of(source=view.name, queue=queue.name), number


def _oldest(sample: JobsSample, queue: QueueNow) -> float | None:
    oldest = oldest_s(queue, sample.at_ms)
    return 0.0 if oldest is None and waiting(queue) == 0 else oldest


def _state(worker: WorkerNow, at_ms: int) -> str:
    if not is_alive(worker, at_ms):
        return "late"
    return "busy" if worker.jobs or worker.state == "busy" else "idle"
