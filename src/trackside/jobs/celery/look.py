"""One look at Celery: the broker is read, what was heard is put right by it, and both are told as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from trackside.jobs.celery.broker import Broker, BrokerNow, Fetched
from trackside.jobs.celery.listener import Listener
from trackside.jobs.celery.tasks import FINAL, LEFT, Task, Worker
from trackside.jobs.source import MAX_FINISHED, MAX_RUNNING
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow, Throughput, WorkerNow

# An event may be on its way for as long as a worker collects several.
_EVENTS_LATE_MS = 3_000
_GONE_KEPT_MS = 300_000
_MAX_CHECKED = 300
_LATEST = 1_000
_NO_EVENTS = (
    "No worker is heard: those listed have a mailbox, and may be gone. Running tasks are not seen, and ends only where "
    "results are published."
)
_NO_TASK_EVENTS = (
    "Workers count what they run and do not say what: start them with -E for names, times and tracebacks. Until then "
    "a running task is one that left the broker and has no result."
)


class Look:
    """Remembers between two looks since when it has seen what."""

    def __init__(self, broker: Broker, listener: Listener, run: str) -> None:
        self.broker = broker
        self.listener = listener
        self.fetched: list[Fetched] = []
        self.queues: list[str] = []
        self._run = run
        self._looks = 0
        self._surplus: Counter[str] = Counter()

    @property
    def has_events(self) -> bool:
        """Whether workers say that they live."""
        with self.listener.lock:
            return bool(self.listener.tasks.workers)

    @property
    def has_task_events(self) -> bool:
        """Whether they say what they do."""
        with self.listener.lock:
            return self.listener.tasks.has_task_events

    def sample(self, cursor: Any) -> JobsSample:
        tasks = self.listener.tasks
        with self.listener.lock:
            heard = {task.queue for task in tasks.unfinished()} | set(tasks.counted)
        self.queues = self.broker.queues(heard)
        now = self.broker.now(self.queues)
        self.fetched = now.fetched
        self.listener.set_clock(now.at_ms)
        results = self.broker.results(self._unsure(now))
        notes = self._notes(now)
        inferred = [] if self.has_events else self.broker.bound_workers()
        before = _before(cursor, self._run)
        with self.listener.lock:
            for one in now.fetched:
                tasks.seen_in_broker(one.task, now.at_ms, one.since_ms)
            for message in now.oldest.values():
                tasks.seen_in_broker(message, now.at_ms)
            for result in results.values():
                if result.status in FINAL:
                    tasks.end_by_result(result, now.at_ms)
            tasks.settle(now.at_ms)
            self._put_right(now)
            running = tasks.running()
            workers = self._workers(running, now.at_ms, inferred)
            finished = tasks.ended_since(before[0]) if before else []
            if before and tasks.ended_number - before[0] > min(MAX_FINISHED, len(finished)):
                notes += (f"More than {MAX_FINISHED} tasks ended since the last look: only the last are shown.",)
            return JobsSample(
                at_ms=now.at_ms,
                queues=self._queues_now(now, running),
                workers=workers,
                running=tuple(
                    self.job(task) for task in sorted(running, key=lambda one: one.started_ms or 0)[:MAX_RUNNING]
                ),
                finished=tuple(self.job(task) for task in finished[-MAX_FINISHED:]),
                ended=self._ended(before[1]) if before else (),
                cursor={
                    "run": self._run,
                    "number": tasks.ended_number,
                    "counted": {name: [one.succeeded, one.failed_attempts] for name, one in tasks.counted.items()},
                },
                notes=notes,
            )

    def job(self, task: Task) -> Job:
        worker = self.listener.tasks.workers.get(task.worker)
        state = task.state
        is_running = state is JobState.RUNNING
        if state is JobState.QUEUED and (task.due_ms or 0) > self.listener.now_ms():
            state = JobState.RETRYING if task.retries else JobState.SCHEDULED
        return Job(
            id=task.id,
            kind=task.kind or "?",
            queue=task.queue,
            state=state,
            raw_state=task.raw_state,
            enqueued_ms=task.waits_since_ms,
            due_ms=task.due_ms,
            started_ms=task.started_ms,
            finished_ms=task.ended_ms if task.state.is_final else None,
            attempt=task.retries + 1 if task.started_ms is not None or task.state.is_final else None,
            worker=task.worker or None,
            lease_until_ms=worker.expected_ms if worker is not None and is_running else None,
            error=task.error or None,
        )

    def _unsure(self, now: BrokerNow) -> list[str]:
        """Ids of which an event may have been lost: running for a while, or fetched and no longer in the broker."""
        fetched = {one.task.id for one in now.fetched}
        is_partial = len(now.fetched) < now.fetched_size
        with self.listener.lock:
            found = []
            for task in self.listener.tasks.unfinished():
                if task.changed_ms > now.at_ms - _EVENTS_LATE_MS:
                    continue
                is_taken = task.received_ms is not None or bool(task.worker)
                if task.state is JobState.RUNNING or (is_taken and task.id not in fetched and not is_partial):
                    found.append(task.id)
        # All of many in turn.
        self._looks += 1
        begin = self._looks * _MAX_CHECKED % len(found) if len(found) > _MAX_CHECKED else 0
        return (found[begin:] + found[:begin])[:_MAX_CHECKED]

    def _put_right(self, now: BrokerNow) -> None:
        """Forgets what neither broker, result nor worker knows any more, at the second look that says so."""
        tasks = self.listener.tasks
        known = {one.task.id for one in now.fetched} | {message.id for message in now.oldest.values()}
        running = Counter(task.worker for task in tasks.running())
        active = {worker.name: worker.active for worker in tasks.workers.values() if not _is_late(worker, now.at_ms)}
        # What is not known to be of a worker may be of any.
        active[""] = max(0, sum(active.values()) - sum(count for name, count in running.items() if name))
        surplus: Counter[str] = Counter()
        for task in tasks.unfinished():
            if task.id in known or task.changed_ms > now.at_ms - _EVENTS_LATE_MS:
                continue
            if task.state is JobState.RUNNING:
                # A worker that says it runs fewer has ended one without our hearing of it.
                is_lost = running[task.worker] > active.get(task.worker, running[task.worker])
                running[task.worker] -= is_lost
            else:
                is_lost = task.received_ms is not None and len(now.fetched) == now.fetched_size
                if is_lost and not tasks.has_task_events and running[""] < active[""]:
                    running[""] += 1
                    task.state, task.raw_state, task.started_ms = JobState.RUNNING, LEFT, now.at_ms
                    continue
            if is_lost:
                surplus[task.id] += 1 + self._surplus[task.id]
                if surplus[task.id] > 1:
                    tasks.forget(task.id)
        self._surplus = surplus

    def _queues_now(self, now: BrokerNow, running: list[Task]) -> tuple[QueueNow, ...]:
        counts = {queue: Counter({JobState.QUEUED: now.waiting[queue]}) for queue in self.queues}
        prefetched: Counter[str] = Counter()
        oldest_ms: dict[str, int] = {}
        running_ids = {task.id for task in running}
        for one in now.fetched:
            queue, task = one.task.queue, self.listener.tasks.known(one.task.id)
            states = counts.setdefault(queue, Counter())
            if one.task.id in running_ids:
                continue
            if one.task.due_ms is not None and one.task.due_ms > now.at_ms:
                states[JobState.RETRYING if one.task.retries else JobState.SCHEDULED] += 1
                continue
            states[JobState.QUEUED] += 1
            prefetched[queue] += 1
            _keep_oldest(oldest_ms, queue, one.task.due_ms or _since(task) or one.since_ms)
        for queue, message in now.oldest.items():
            _keep_oldest(oldest_ms, queue, _since(self.listener.tasks.known(message.id)))
        unseen = now.fetched_size - len(now.fetched)
        if unseen > 0:
            name = max(prefetched, key=prefetched.__getitem__, default=self.queues[0])
            counts.setdefault(name, Counter())[JobState.QUEUED] += unseen
            prefetched[name] += unseen
        for queue, amount in self._running_by_queue(running, now.at_ms).items():
            counts.setdefault(queue, Counter())[JobState.RUNNING] += amount
        return tuple(
            QueueNow(
                name=name,
                counts={JobState.RUNNING: 0, **found},
                oldest_ready_ms=min(oldest_ms[name], now.at_ms) if name in oldest_ms else None,
                prefetched=prefetched[name],
            )
            for name, found in sorted(counts.items())
        )

    def _running_by_queue(self, running: list[Task], at_ms: int) -> Counter[str]:
        """Those that are known, and those that a worker counts and began before we listened."""
        tasks = self.listener.tasks
        found = Counter(task.queue or self._only_queue() for task in running)
        known = Counter(task.worker for task in running)
        anybodys = known[""]
        latest = {task.worker: task.changed_ms for task in tasks.latest_ended(_LATEST)}
        for worker in tasks.workers.values():
            # After the end of a task the last beat still counts it.
            is_current = latest.get(worker.name, 0) < worker.heard_ms and not _is_late(worker, at_ms)
            more = max(0, worker.active - known[worker.name]) if is_current else 0
            taken = min(more, anybodys)
            anybodys -= taken
            if more > taken:
                found[worker.last_queue or self._only_queue()] += more - taken
        return found

    def _only_queue(self) -> str:
        return self.queues[0] if self.queues else "celery"

    def _workers(self, running: list[Task], at_ms: int, inferred: list[str]) -> tuple[WorkerNow, ...]:
        jobs: dict[str, list[str]] = {}
        for task in running:
            jobs.setdefault(task.worker, []).append(task.id)
        found = [
            self._worker(worker, tuple(jobs.get(worker.name, ())))
            for worker in self.listener.tasks.workers.values()
            if not worker.is_gone and worker.expected_ms > at_ms - _GONE_KEPT_MS
        ]
        return (*found, *(WorkerNow(id=name, host=_host(name), is_inferred=True) for name in inferred))

    def _worker(self, worker: Worker, jobs: tuple[str, ...]) -> WorkerNow:
        skew_ms = self.listener.tasks.skew_ms(worker.name)
        return WorkerNow(
            id=worker.name,
            queues=worker.queues,
            state="busy" if worker.active or jobs else "idle",
            beat_ms=worker.heard_ms,
            expected_ms=worker.expected_ms,
            jobs=jobs,
            host=_host(worker.name),
            process=worker.process,
            version=worker.version or None,
            started_ms=worker.since_ms,
            skew_s=None if skew_ms is None else skew_ms / 1000,
        )

    def _ended(self, before: Mapping[str, Any]) -> tuple[Throughput, ...]:
        found = []
        for queue, counted in self.listener.tasks.counted.items():
            succeeded, failed = before.get(queue, (0, 0))
            if counted.succeeded > succeeded or counted.failed_attempts > failed:
                found.append(Throughput(queue, counted.succeeded - succeeded, counted.failed_attempts - failed))
        return tuple(found)

    def _notes(self, now: BrokerNow) -> tuple[str, ...]:
        notes = []
        if self.listener.error:
            notes.append(f"Events are not heard: {self.listener.error}")
        elif not self.has_events:
            notes.append(_NO_EVENTS)
        elif not self.has_task_events:
            notes.append(_NO_TASK_EVENTS)
        if self.listener.gaps:
            notes.append(f"The connection was lost {self.listener.gaps} times: what ended meanwhile may be missing.")
        if len(now.fetched) < now.fetched_size:
            notes.append(f"Only {len(now.fetched)} of {now.fetched_size} fetched tasks were looked at.")
        return tuple(notes)


def _is_late(worker: Worker, at_ms: int) -> bool:
    return worker.is_gone or worker.expected_ms < at_ms


def _since(task: Task | None) -> int | None:
    """Since when it waits, as far as that is known."""
    if task is None:
        return None
    return max(task.waits_since_ms or 0, task.due_ms or 0) or None


def _keep_oldest(oldest_ms: dict[str, int], queue: str, since_ms: int | None) -> None:
    if since_ms is not None:
        oldest_ms[queue] = min(since_ms, oldest_ms.get(queue, since_ms))


def _host(name: str) -> str | None:
    return name.split("@", 1)[1] if "@" in name else None


def _before(cursor: Any, run: str) -> tuple[int, dict[str, tuple[int, int]]] | None:
    """None: of another process, which has heard something else."""
    try:
        if cursor["run"] != run:
            return None
        counted = {str(name): (int(ok), int(failed)) for name, (ok, failed) in cursor["counted"].items()}
        return int(cursor["number"]), counted
    except (TypeError, ValueError, LookupError, AttributeError):
        return None
