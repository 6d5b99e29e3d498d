"""An image shop: RQ with a queue that nobody serves, a procrastinate that does well, and a source that is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from trackside.exceptions import SourceError
from trackside.jobs.actor import Ability, Verb
from trackside.jobs.source import Measure
from trackside.jobs.verdicts.facts import Deploy, ExpectedBeat, ExpectedWorkers, Limits
from trackside.model.jobs import (
    Attempt,
    Fidelity,
    Job,
    JobDetail,
    JobQuery,
    JobReport,
    JobsPage,
    JobsSample,
    JobState,
    QueueNow,
    ScheduleNow,
    WorkerNow,
)
from trackside.model.labels import Labels
from trackside.server.access.roles import Identity, Role
from trackside.server.db.database import Database
from trackside.server.jobs.actions.actions import JobActions, Place, Throttle
from trackside.server.jobs.actions.plan import Asked, Person
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.watch import Elsewhere, Expectations, JobsWatch
from trackside.server.web.api.job_actions import JobActionsApi

NOW_MS = 1_764_079_335_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/luster/worker.py", line 88, in perform
    image = enhance(path, scale=2)
  File "/srv/luster/images.py", line 41, in enhance
    return client.images.edit(image=open(path, "rb"), prompt=PROMPT)
  File "/srv/luster/ai.py", line 17, in edit
    raise Timeout(f"no answer from {self.url} within {limit} s")
luster.ai.Timeout: no answer from https://ai.example/v1 within 30 s
"""
KINDS = (
    # kind, queue, a minute, seconds, share that fails, dollars
    ("images.enhance", "high", 22.0, 3.2, 0.16, 0.021),
    ("images.thumbnail", "default", 48.0, 0.18, 0.0, None),
    ("mail.receipt", "default", 9.0, 0.42, 0.012, None),
    ("reports.nightly", "low", 0.4, 41.0, 0.0, None),
)


@dataclass
class HeldClock:
    time_ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


@dataclass
class FakeSource:
    """Says what it is told to say, and counts how often it was asked."""

    clock: HeldClock
    backend: str = "rq"
    says: dict = field(default_factory=dict)
    jobs: dict[str, JobDetail] = field(default_factory=dict)
    error: str = ""
    asked: list[str] = field(default_factory=list)
    fidelity: dict = field(
        default_factory=lambda: {
            Measure.DEPTH: Fidelity.EXACT,
            Measure.OLDEST: Fidelity.EXACT,
            Measure.RUNNING: Fidelity.EXACT,
            Measure.WORKERS: Fidelity.EXACT,
            Measure.THROUGHPUT: Fidelity.EXACT,
            Measure.LATENCY: Fidelity.SAMPLED,
            Measure.TRACEBACK: Fidelity.NEEDS_HOOK,
        }
    )

    def sample(self, cursor: object = None) -> JobsSample:
        self._ask("sample")
        return JobsSample(at_ms=self.clock.time_ms, cursor=[len(self.asked)], **self.says)

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        self._ask(f"find {query.text}")
        jobs = [detail.job for detail in self.jobs.values() if _matches(detail.job, query)]
        start = int(after or 0)
        more = len(jobs) > start + limit
        return JobsPage(tuple(jobs[start : start + limit]), str(start + limit) if more else "", is_cut=False)

    def get(self, id: str) -> JobDetail | None:
        self._ask(f"get {id}")
        return self.jobs.get(id)

    def close(self) -> None:
        pass

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error:
            raise SourceError(self.error)


def _matches(job: Job, query: JobQuery) -> bool:
    states = not query.states or job.state in query.states
    names = query.queue in ("", job.queue) and query.kind in ("", job.kind) and query.worker in ("", job.worker)
    return states and names and query.text in f"{job.id} {job.error}"


class World:
    """A watch whose sources and ledger are full. `tick` lets time pass and looks at every source."""

    def __init__(self, path: Path) -> None:
        self.clock = HeldClock(NOW_MS - 9 * MINUTE_MS)
        self.db = Database(path)
        self.ledger = JobsLedger(self.db)
        self.rq = FakeSource(self.clock)
        self.mail = FakeSource(self.clock, "procrastinate")
        self.away = FakeSource(self.clock, "celery")
        self.beats = {"outbox-publisher": NOW_MS - 400}
        self.history: list[JobReport] = []
        self.deploys = [Deploy("4f2c91d", NOW_MS - 31 * MINUTE_MS)]
        expectations = Expectations(
            (ExpectedWorkers("high", 2, "rq"), ExpectedWorkers("mail", 1, "mail")),
            (ExpectedBeat("session-poller", 1_000), ExpectedBeat("outbox-publisher", 1_000)),
            Limits(budget_usd=40.0),
        )
        self.watch = JobsWatch(
            {"rq": (self.rq, Pace()), "mail": (self.mail, Pace()), "old": (self.away, Pace())},
            Ports(self.db, self.ledger, self.clock, "test"),
            expectations,
            Elsewhere(lambda: self.beats, lambda: self.deploys),
        )

    def fill(self) -> None:
        """History of two hours and of the same hours a week ago, then some minutes of looks."""
        self.history = _history()
        self.ledger.take(self.history, NOW_MS)
        self.away.error = "Redis at cache:6379 refuses the connection"
        self.rq.jobs = _details()
        waiting = 148
        while self.clock.time_ms < NOW_MS - 5_000:
            self.tick(10, waiting)
            waiting += 1
        self.clock.time_ms = NOW_MS - 2_000
        self.tick(2, waiting)

    def tick(self, seconds: int, waiting: int = 0) -> None:
        before_ms = self.clock.time_ms
        self.clock.time_ms += seconds * 1000
        # Sources tell of what hooks told of, too.
        ended = [_ended(one) for one in self.history if before_ms < (one.finished_ms or 0) <= self.clock.time_ms]
        self.rq.says = {**_rq_says(self.clock.time_ms, waiting), "finished": tuple(ended)}
        self.mail.says = _mail_says(self.clock.time_ms)
        for name in self.watch.samplers:
            self.watch.step(name)

    def close(self) -> None:
        self.db.close()


def _rq_says(at_ms: int, waiting: int) -> dict:
    queued, running, scheduled = JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED
    low = {queued: waiting + 64, running: 0, scheduled: 3, JobState.RETRYING: 0, JobState.FAILED: 12}
    jobs = (
        _job("a81f", "images.enhance", "high", running, started_ms=at_ms - 4_300, worker="w-1", attempt=2),
        _job("c3d0", "reports.nightly", "low", running, started_ms=at_ms - 5_400_000, worker="w-2"),
    )
    beat = {"beat_ms": at_ms - 3_000, "expected_ms": at_ms + 412_000, "host": "luster-1", "version": "2.6.1"}
    return {
        "queues": (
            QueueNow("high", {queued: 14, running: 1, scheduled: 0, JobState.RETRYING: 6}, at_ms - 48_000),
            QueueNow("default", {queued: 2, running: 0, scheduled: 1}, at_ms - 700),
            QueueNow("low", low, at_ms - 372_000),
            QueueNow("exports", {queued: 5, running: 0, scheduled: 0}, at_ms - 30_000, is_paused=True),
        ),
        "workers": (
            WorkerNow("w-1", ("high", "default"), "busy", jobs=("a81f",), succeeded=4_218, failed_attempts=391,
                      busy_s=5_890.0, process=4_112, started_ms=at_ms - 7_200_000, skew_s=0.1, **beat),
            WorkerNow("w-2", ("default", "exports"), "idle", succeeded=9_731, failed_attempts=12, busy_s=1_420.0,
                      process=4_113, started_ms=at_ms - 7_200_000, skew_s=7.4, **beat),
            *((WorkerNow("w-3", ("low",), "idle", beat_ms=at_ms - 1_000),) if at_ms < NOW_MS - 7 * MINUTE_MS else ()),
        ),
        "running": jobs,
        "schedules": (
            ScheduleNow("nightly", "reports.nightly", "low", "0 3 * * *", at_ms - 9 * HOUR_MS, at_ms + 15 * HOUR_MS),
            ScheduleNow("sweep", "images.sweep", "low", "every 60 s", NOW_MS - 8 * MINUTE_MS, NOW_MS - 7 * MINUTE_MS),
        ),
        "notes": ("Jobs whose results are kept for less than 5 s are counted, and not seen one by one.",),
    }  # fmt: skip


def _mail_says(at_ms: int) -> dict:
    return {
        "queues": (QueueNow("mail", {JobState.QUEUED: 1, JobState.RUNNING: 1}, at_ms - 200),),
        "workers": (
            WorkerNow("18", ("mail",), "busy", at_ms - 2_000, at_ms + 8_000, ("731",), host="mail-1", started_ms=at_ms),
        ),
        "running": (_job("731", "mail.receipt", "mail", JobState.RUNNING, started_ms=at_ms - 300, worker="18"),),
    }


def _job(id: str, kind: str, queue: str, state: JobState, **more: object) -> Job:
    plain = Job(id, kind, queue, state, state.value, enqueued_ms=NOW_MS - 61_000, attempt=1)
    return replace(plain, **more)  # type: ignore[arg-type]


def _ended(report: JobReport) -> Job:
    return Job(
        report.id, report.kind, report.queue, JobState(report.outcome), report.outcome, report.enqueued_ms, None,
        report.started_ms, report.finished_ms, report.attempt, None, report.worker, None, report.error,
    )  # fmt: skip


def _details() -> dict[str, JobDetail]:
    begun = NOW_MS - 95_000
    job = _job(
        "a81f", "images.enhance", "high", JobState.RUNNING,
        enqueued_ms=begun - 20_000, due_ms=begun - 14_000, started_ms=NOW_MS - 4_300, attempt=2, max_attempts=4,
        worker="w-1",
    )  # fmt: skip
    attempts = (
        Attempt(1, "retried", begun, begun + 30_200, "w-1", "luster.ai.Timeout: no answer", TRACEBACK, 0.021,
                512 * 2**20, 1.4),
        Attempt(2, "running", NOW_MS - 4_300, None, "w-1"),
    )  # fmt: skip
    first = JobDetail(
        job,
        ("s3://shots/2291.jpg", {"scale": 2}),
        {"prompt": "sharper <b>sky</b>", "api_key": "<redacted>", "note": "</script><script>alert(1)</script>"},
        None,
        attempts,
        ("0f77",),
        ("b120", "b121"),
        {"timeout": "180 s", "result_ttl": "500 s"},
    )
    queued = [
        JobDetail(_job(f"q{n:03}", "images.sweep", "low", JobState.QUEUED, enqueued_ms=NOW_MS - 372_000 + n * 1_900))
        for n in range(120)
    ]
    return {detail.job.id: detail for detail in (first, *queued)}


def _history() -> list[JobReport]:
    chance = random.Random(7)
    reports = []
    for week in (0, 1):
        for kind, queue, per_minute, mean_s, failing, usd in KINDS:
            count = int(per_minute * 120 / (1 + week))
            for number in range(count):
                ended_ms = NOW_MS - week * 7 * DAY_MS - int(number / count * 2 * HOUR_MS) - chance.randrange(9_000)
                after_deploy = ended_ms > NOW_MS - 31 * MINUTE_MS
                fails = chance.random() < failing * (2 if after_deploy else 0.2) and not week
                run_s = mean_s * chance.lognormvariate(0, 0.5) * (0.6 if week else 1)
                reports.append(_report(f"{week}-{kind}-{number}", (kind, queue), ended_ms, run_s, fails, usd))
    return reports


def _report(id: str, what: tuple[str, str], ended_ms: int, run_s: float, fails: bool, usd: float | None) -> JobReport:
    is_timeout = ended_ms % 4 or what[0] != "images.enhance"
    error = "luster.ai.Timeout: no answer from https://ai.example/v1 within 30 s"
    return JobReport(
        "rq",
        id,
        what[0],
        what[1],
        1,
        "failed" if fails else "succeeded",
        enqueued_ms=ended_ms - int(run_s * 1000) - 2_500,
        started_ms=ended_ms - int(run_s * 1000),
        finished_ms=ended_ms,
        worker="w-1",
        error=(error if is_timeout else "OSError: cannot identify image file '/tmp/8812.jpg'") if fails else "",
        traceback=TRACEBACK if fails and is_timeout else "",
        cost_usd=usd,
    )


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Not to be changed: all tests share it."""
    world = World(tmp_path_factory.mktemp("jobs") / "trackside.db")
    world.fill()
    yield world
    world.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty one of the test's own."""
    made = World(tmp_path / "trackside.db")
    yield made
    made.close()


def jobs_backend(plain: type, now_ms: Callable[[], int]) -> object:
    """What the applications say of their pollers and outboxes, and this server of its queues."""
    gauges = {
        "poller_lag_seconds": ({"poller": "session-poller"}, 412.0),
        "poller_waiting": ({"poller": "session-poller"}, 37.0),
        "outbox_pending": ({"queue": "outbox"}, 3.0),
        "outbox_oldest_seconds": ({"queue": "outbox"}, 1.2),
        "outbox_attempts_max": ({"queue": "outbox"}, 6.0),
        "outbox_blocked_by_xmin_seconds": ({"queue": "outbox"}, 0.4),
    }
    rates = {
        "poller_polls_total": [{"poller": "session-poller", "result": "empty"}, 0.0],
        "outbox_published_total": [{"queue": "outbox"}, 2.4],
    }

    class Backend(plain):  # type: ignore[misc, valid-type]
        def _rows(self, expr: str, steps_ms: np.ndarray) -> list[tuple[Labels, np.ndarray]]:
            one = np.ones(len(steps_ms))
            if expr.startswith("{__name__"):
                rows = [
                    (Labels.of(__name__=name, job="shop", **of), one * value) for name, (of, value) in gauges.items()
                ]
                return [*rows, (Labels.of(__name__="queue_jobs", job="shop", queue="outbox", state="dead"), one * 2)]
            for name, (of, value) in rates.items():
                if name in expr:
                    return [(Labels.of(job="shop", **of), one * value)]
            if "trackside_queue_jobs" in expr:
                return [(Labels.of(), self._wave(steps_ms, 240.0, 3, 0.02))]
            if "trackside_queue_oldest" in expr:
                return [(Labels.of(), np.maximum(1.0, 372.0 - (steps_ms[-1] - steps_ms) / 1000))]
            return [] if "total" in expr and "http" not in expr else super()._rows(expr, steps_ms)

    return Backend(now_ms)


@pytest.fixture
def facts(filled: World, fakes: SimpleNamespace) -> dict[str, object]:
    """Of a console over the filled world."""
    backend = jobs_backend(fakes.Backend, filled.clock.now_ms)
    return {"jobs": lambda: filled.watch, "clock": filled.clock, "backend": backend}


@pytest.fixture
def jobs_visit(visit: Callable[..., str], facts: dict[str, object]) -> Callable[..., str]:
    return lambda url, **more: visit(url, **{**facts, **more})


@pytest.fixture
def made() -> SimpleNamespace:
    return SimpleNamespace(job=_job, Detail=JobDetail)


class Acting:
    """What can be done in RQ. Called: an application, as somebody of a role sees it."""

    def abilities(self, source: str) -> dict[Verb, Ability]:
        failed, queued = frozenset({JobState.FAILED}), frozenset({JobState.QUEUED, JobState.RUNNING})
        able = {Verb.RETRY: Ability(failed), Verb.CANCEL: Ability(queued), Verb.PAUSE: Ability(frozenset())}
        return able if source == "rq" else {}

    def of_job(self, source: str, job: str) -> list:
        return []

    def actions(self) -> Acting:
        return self

    def __call__(self, app: Callable, role: Role = Role.OPERATOR) -> Callable:
        async def door(scope: dict, receive: object, send: object) -> None:
            scope.setdefault("state", {})["identity"] = Identity(1, "Kim", role, by_cookie=True)
            await app(scope, receive, send)

        return door


class DoesAll:
    """An actor: what is sound in RQ, always done, but for what is gone."""

    abilities = {
        Verb.RETRY: Ability(frozenset({JobState.FAILED}), "Each is put at the end of its queue."),
        Verb.CANCEL: Ability(frozenset({JobState.QUEUED, JobState.RUNNING})),
        Verb.PAUSE: Ability(frozenset()),
    }
    verbs = frozenset(abilities)

    def act(self, verb: Verb, ids: Sequence[str]) -> dict[str, str]:
        return {id: "there is no such job (any more)" if id == "q003" else "" for id in ids}

    def close(self) -> None:
        pass


@pytest.fixture
def real_actions(world: World) -> Iterator[JobActions]:
    """Over the world of the test's own, with its jobs."""
    world.rq.jobs = _details()
    world.tick(5)
    places = {name: Place(one, DoesAll() if name == "rq" else None) for name, one in world.watch.samplers.items()}
    made = JobActions(places, world.db, world.clock, Throttle(pause_s=0.0))
    yield made
    made.close()


@pytest.fixture
def act(real_actions: JobActions) -> Callable[..., int]:
    """Does it, and waits until it is done."""

    def acted(verb: Verb, *ids: str, query: JobQuery | None = None, who: str = "Kim") -> int:
        person = Person(who, who)
        plan = real_actions.plan(person, Asked(verb, "rq", ids, query))
        number = real_actions.confirm(person, plan.token)
        while (told := real_actions.action(number)) is None or told.state in ("waiting", "running"):
            time.sleep(0.01)
        return number

    return acted


@pytest.fixture
def acting_app(
    world: World, real_actions: JobActions, fakes: SimpleNamespace, make_console: Callable, make_app: Callable
) -> Callable[..., Callable]:
    """The pages over the world of the test's own, and the actions behind their buttons, as somebody of a role."""

    def app(role: Role = Role.OPERATOR) -> Callable:
        backend = jobs_backend(fakes.Backend, world.clock.now_ms)
        console = make_console(
            jobs=lambda: world.watch, clock=world.clock, backend=backend, job_actions=lambda: real_actions
        )
        whole = make_app(console)
        actions = JobActionsApi(console)
        whole.router.routes[:0] = [*actions.routes(), *actions.pages()]
        return Acting()(whole, role)

    return app


@pytest.fixture
def served(facts: dict[str, object], make_console: Callable, make_app: Callable) -> Callable[..., Callable]:
    """The pages as an application, over the filled world."""
    return lambda **more: make_app(make_console(**facts, **more))


@pytest.fixture
def acting() -> Acting:
    return Acting()


@pytest.fixture
def fetch() -> Callable[..., str]:
    """What an application answers."""

    def get(app: Callable, url: str, status: int = 200) -> str:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.get(url)

        response = asyncio.run(asked())
        assert response.status_code == status
        return response.text

    return get
