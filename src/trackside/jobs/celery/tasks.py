"""What was heard of Celery's tasks: a bounded memory, put right by what the broker and the results say."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from trackside.jobs.celery.messages import MAX_TRACEBACK, ActiveTask, Event, TaskMessage, TaskResult, iso_ms, literal
from trackside.jobs.failures import raised_last, shown_error
from trackside.model.jobs import Attempt, JobState

MAX_TASKS = 20_000
MAX_ENDED = 10_000
MAX_HOSTS = 1_000
MAX_ATTEMPTS = 10
MAX_TRACEBACKS = 500
# A result is stored before its event is sent; its event knows more.
EVENT_FOLLOWS_MS = 3_000
_HOSTS_SKEW_MS = 1_000
LEFT = "LEFT"
"""Taken from the broker, without a result, and nobody said that it began."""
FINAL = {
    "SUCCESS": JobState.SUCCEEDED,
    "FAILURE": JobState.FAILED,
    "REVOKED": JobState.CANCELLED,
    "REJECTED": JobState.FAILED,
}
_ENDINGS = {
    "task-succeeded": (JobState.SUCCEEDED, "succeeded"),
    "task-failed": (JobState.FAILED, "failed"),
    "task-revoked": (JobState.CANCELLED, "cancelled"),
    "task-rejected": (JobState.FAILED, "failed"),
}


@dataclass(slots=True)
class Task:
    id: str
    kind: str = ""
    queue: str = ""
    worker: str = ""
    state: JobState = JobState.QUEUED
    raw_state: str = "PENDING"
    sent_ms: int | None = None
    seen_ms: int | None = None
    received_ms: int | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    retries: int = 0
    error: str = ""
    args: Any = None
    kwargs: Any = None
    result: str = ""
    parent: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    changed_ms: int = 0
    """When we heard of it last, by the back-end's clock."""
    ended_number: int = 0
    """From 1, in the order in which the ends were heard of."""

    @property
    def waits_since_ms(self) -> int | None:
        """As far as it is known."""
        return next((at for at in (self.sent_ms, self.seen_ms, self.received_ms) if at is not None), None)


@dataclass(slots=True)
class Worker:
    name: str
    heard_ms: int
    freq_s: float = 2.0
    active: int = 0
    process: int | None = None
    version: str = ""
    since_ms: int | None = None
    is_gone: bool = False
    last_queue: str = ""
    queues: tuple[str, ...] = ()
    """Where it takes from; empty until it was asked."""

    @property
    def expected_ms(self) -> int:
        # A busy machine delays a beat or two.
        return self.heard_ms + max(10_000, round(self.freq_s * 4_000))


@dataclass(slots=True)
class Counted:
    succeeded: int = 0
    failed_attempts: int = 0


class Tasks:
    """One thread at a time: the owner locks."""

    def __init__(self) -> None:
        self.workers: OrderedDict[str, Worker] = OrderedDict()
        self.has_task_events = False
        self.ended_number = 0
        self.counted: dict[str, Counted] = {}
        """By queue, since we listen."""
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._ended: deque[Task] = deque(maxlen=MAX_ENDED)
        self._traced: deque[Task] = deque()
        self._results: OrderedDict[str, tuple[TaskResult, int]] = OrderedDict()
        self._skews_ms: OrderedDict[str, int] = OrderedDict()

    def hear(self, event: Event, now_ms: int) -> None:
        """`now_ms`: by the back-end's clock."""
        if event.at_ms is not None and event.host:
            self._hear_clock(event.host, event.at_ms - now_ms)
        if event.type.startswith("worker-"):
            self._hear_worker(event, now_ms)
        elif event.type.startswith("task-") and isinstance(event.fields.get("uuid"), str):
            self._hear_task(event, now_ms)

    def hear_queues(self, worker: str, queues: tuple[str, ...], asked_ms: int) -> None:
        self._worker(worker, asked_ms).queues = queues

    def hear_active(self, worker: str, active: Sequence[ActiveTask], asked_ms: int) -> None:
        """All that a worker said it runs, when it was asked."""
        if self._worker(worker, asked_ms).heard_ms == asked_ms:
            self.workers[worker].active = len(active)
        ids = {one.id for one in active}
        for task in self.running():
            if task.worker == worker and task.changed_ms < asked_ms - EVENT_FOLLOWS_MS and task.id not in ids:
                self.forget(task.id)
        for one in active:
            known = self._tasks.get(one.id)
            if known is not None and (known.state.is_final or known.state is JobState.RUNNING) and known.worker:
                continue
            task = self._task(one.id, asked_ms)
            task.kind, task.queue, task.worker = one.kind, one.queue, worker
            task.args, task.kwargs = _plain(one.args), _plain(one.kwargs)
            self._starts(task, self.corrected_ms(one.started_ms or asked_ms, worker))

    def hear_result(self, result: TaskResult, now_ms: int) -> None:
        """It waits for its event; `settle` takes it when there is none."""
        if result.id and result.status in FINAL:
            self._results[result.id] = (result, now_ms)
            self._results.move_to_end(result.id)
            if len(self._results) > MAX_TASKS:
                self._results.popitem(last=False)

    def settle(self, now_ms: int) -> None:
        """Takes the results whose events did not come: of workers that send none, or that were lost."""
        until_ms = now_ms - EVENT_FOLLOWS_MS if self.has_task_events else now_ms
        due = [id for id, (_, heard_ms) in self._results.items() if heard_ms <= until_ms]
        for id in due:
            result, heard_ms = self._results.pop(id)
            known = self._tasks.get(id)
            if known is None or not known.state.is_final:
                self.end_by_result(result, heard_ms)

    def end_by_result(self, result: TaskResult, now_ms: int) -> None:
        task = self._task(result.id, now_ms)
        if task.state.is_final:
            return
        _fill(task, result)
        task.error = result.error
        if task.raw_state == LEFT:
            # When it began was a guess.
            task.started_ms = None
        ended_ms = result.ended_ms
        if ended_ms is not None and task.worker:
            ended_ms = self.corrected_ms(ended_ms, task.worker)
        state = FINAL[result.status]
        outcome = {JobState.SUCCEEDED: "succeeded", JobState.CANCELLED: "cancelled"}.get(state, "failed")
        self._end(task, state, outcome, ended_ms or now_ms, result.traceback)
        task.raw_state = result.status

    def seen_in_broker(self, message: TaskMessage, now_ms: int, fetched_ms: int | None = None) -> None:
        """What a message tells of a task. `fetched_ms`: since when a worker has it."""
        task = self._tasks.get(message.id)
        if task is None:
            task = self._task(message.id, now_ms)
            # It may wait for longer; it was not heard of.
            task.seen_ms = now_ms
        if not task.kind or task.args is None:
            task.kind = message.kind
            task.queue = message.queue or task.queue
            task.retries = message.retries
            task.due_ms = message.due_ms
            task.parent = _other(message.parent, task.id)
            task.args, task.kwargs = message.args, message.kwargs
        if task.received_ms is None:
            task.received_ms = fetched_ms

    def known(self, id: str) -> Task | None:
        return self._tasks.get(id)

    def forget(self, id: str) -> None:
        self._tasks.pop(id, None)

    def running(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.state is JobState.RUNNING]

    def all(self) -> Iterable[Task]:
        return self._tasks.values()

    def unfinished(self) -> list[Task]:
        return [task for task in self._tasks.values() if not task.state.is_final]

    def ended_since(self, number: int) -> list[Task]:
        """Oldest first, as far as they are kept."""
        return [task for task in self._ended if task.ended_number > number]

    def latest_ended(self, count: int) -> list[Task]:
        """Oldest first."""
        return list(islice(reversed(self._ended), count))[::-1]

    def skew_ms(self, host: str) -> int | None:
        return self._skews_ms.get(host)

    def corrected_ms(self, at_ms: int, host: str) -> int:
        """By the back-end's clock: a small difference is the way of the message, a large one is the clock's."""
        skew_ms = self._skews_ms.get(host, 0)
        return at_ms - skew_ms if abs(skew_ms) > _HOSTS_SKEW_MS else at_ms

    def _hear_clock(self, host: str, ahead_ms: int) -> None:
        """A message is never early, so the largest difference is the nearest to the truth; slowly forgotten, as clocks
        are put right."""
        before_ms = self._skews_ms.get(host)
        kept_ms = ahead_ms if before_ms is None else max(ahead_ms, before_ms - max(1, abs(before_ms - ahead_ms) // 50))
        self._skews_ms[host] = kept_ms
        self._skews_ms.move_to_end(host)
        if len(self._skews_ms) > MAX_HOSTS:
            self._skews_ms.popitem(last=False)

    def _hear_worker(self, event: Event, now_ms: int) -> None:
        worker = self._worker(event.host, now_ms)
        worker.is_gone = event.type == "worker-offline"
        worker.freq_s = event.number("freq") or worker.freq_s
        worker.active = int(event.number("active") or 0)
        worker.version = event.text("sw_ver", 50) or worker.version
        process = event.number("pid")
        worker.process = worker.process if process is None else int(process)
        if event.type == "worker-online" and event.at_ms is not None:
            worker.since_ms = self.corrected_ms(event.at_ms, event.host)

    def _worker(self, name: str, now_ms: int) -> Worker:
        worker = self.workers.get(name)
        if worker is None:
            worker = self.workers[name] = Worker(name, now_ms)
            if len(self.workers) > MAX_HOSTS:
                self.workers.popitem(last=False)
        self.workers.move_to_end(name)
        worker.heard_ms = max(now_ms, worker.heard_ms)
        return worker

    def _hear_task(self, event: Event, now_ms: int) -> None:
        task = self._task(str(event.fields["uuid"])[:200], now_ms)
        at_ms = now_ms if event.at_ms is None else self.corrected_ms(event.at_ms, event.host)
        task.kind = event.text("name", 200) or task.kind
        task.parent = _other(event.text("parent_id", 200), task.id) or task.parent
        task.due_ms = iso_ms(event.fields.get("eta")) or task.due_ms
        if "args" in event.fields and task.args is None:
            task.args, task.kwargs = literal(event.fields.get("args")), literal(event.fields.get("kwargs"))
        retries = event.number("retries")
        task.retries = task.retries if retries is None else int(retries)
        if event.type == "task-sent":
            self._sent(task, event, at_ms)
            return
        self.has_task_events = True
        if event.host:
            task.worker = event.host
            if event.host in self.workers and task.queue:
                self.workers[event.host].last_queue = task.queue
        if event.type == "task-received":
            task.received_ms = at_ms
            self._waits(task, "RECEIVED")
        elif event.type == "task-started":
            self._starts(task, at_ms)
        elif event.type == "task-retried":
            self._attempted(task, "retried", at_ms, _error_of(event), event.text("traceback", MAX_TRACEBACK))
            self._count(task, succeeded=0, failed=1)
            self._waits(task, "RETRY", JobState.RETRYING)
            # Until it is received again it is nobody's.
            task.received_ms, task.worker = None, ""
        elif event.type in _ENDINGS:
            self._ends(task, event, at_ms)

    def _sent(self, task: Task, event: Event, at_ms: int) -> None:
        task.queue = event.text("queue", 200) or task.queue
        task.sent_ms = at_ms
        if task.state.is_final and task.retries == 0:
            # The id is used again.
            self._waits(task, "PENDING")

    def _waits(self, task: Task, raw: str, state: JobState = JobState.QUEUED) -> None:
        if task.state is not JobState.RUNNING or state is JobState.RETRYING:
            task.state, task.raw_state = state, raw

    def _starts(self, task: Task, at_ms: int) -> None:
        if task.state.is_final and task.ended_ms is not None and at_ms < task.ended_ms:
            # Events of one task are sent together, and may be out of order.
            return
        task.state, task.raw_state = JobState.RUNNING, "STARTED"
        task.started_ms, task.ended_ms = at_ms, None

    def _ends(self, task: Task, event: Event, at_ms: int) -> None:
        if task.state.is_final and task.ended_number:
            return
        result = self._results.pop(task.id, None)
        if result is not None:
            _fill(task, result[0])
        state, outcome = _ENDINGS[event.type]
        runtime_s = event.number("runtime")
        if task.started_ms is None and runtime_s is not None:
            task.started_ms = at_ms - round(runtime_s * 1000)
        task.result = event.text("result", 1_000)
        task.error = _error_of(event)
        self._end(task, state, outcome, at_ms, event.text("traceback", MAX_TRACEBACK))

    def _end(self, task: Task, state: JobState, outcome: str, at_ms: int, trace: str) -> None:
        self._attempted(task, outcome, at_ms, task.error, trace)
        task.state, task.raw_state, task.ended_ms = state, outcome.upper(), at_ms
        self.ended_number += 1
        task.ended_number = self.ended_number
        # As it is now: it may run again.
        self._ended.append(replace(task))
        self._count(task, succeeded=state is JobState.SUCCEEDED, failed=state is JobState.FAILED)

    def _attempted(self, task: Task, outcome: str, at_ms: int, error: str, trace: str) -> None:
        task.error = shown_error(error)
        task.attempts.append(
            Attempt(
                number=task.retries + 1,
                outcome=outcome,
                started_ms=task.started_ms,
                finished_ms=at_ms,
                worker=task.worker or None,
                error=task.error or None,
                traceback=trace or None,
            )
        )
        del task.attempts[:-MAX_ATTEMPTS]
        if trace:
            self._traced.append(task)
            if len(self._traced) > MAX_TRACEBACKS:
                oldest = self._traced.popleft()
                oldest.attempts = [replace(one, traceback=None) for one in oldest.attempts]

    def _count(self, task: Task, *, succeeded: int, failed: int) -> None:
        counted = self.counted.setdefault(task.queue, Counted()) if len(self.counted) < MAX_HOSTS else Counted()
        counted.succeeded += succeeded
        counted.failed_attempts += failed

    def _task(self, id: str, now_ms: int) -> Task:
        task = self._tasks.get(id)
        if task is None:
            task = self._tasks[id] = Task(id)
            if len(self._tasks) > MAX_TASKS:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(id)
        task.changed_ms = now_ms
        return task


def _fill(task: Task, result: TaskResult) -> None:
    """What an extended result knows, and nobody has said."""
    task.kind = task.kind or str(result.more.get("name") or "")[:200]
    task.queue = task.queue or str(result.more.get("queue") or "")[:200]
    task.worker = task.worker or str(result.more.get("worker") or "")[:200]


def _error_of(event: Event) -> str:
    said = event.text("exception")
    # Of a process that died Celery tells the wrapping; what is in it stands in the traceback.
    if said.startswith("ExceptionWithTraceback("):
        return raised_last(event.text("traceback", MAX_TRACEBACK).strip("\"'\n ")) or said
    return said


def _other(parent: str, id: str) -> str:
    """An attempt names the one before, which has the same id."""
    return "" if parent == id else parent


def _plain(value: Any) -> Any:
    """Some versions answer with values, some with their text."""
    return literal(value) if isinstance(value, str) else value


def by_newest(tasks: Iterable[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (task.ended_ms or task.started_ms or task.changed_ms, task.id), reverse=True)
