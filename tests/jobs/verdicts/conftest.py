"""One source with one queue, from which each situation differs in a few words."""

from dataclasses import replace

import pytest

from trackside.jobs.verdicts.facts import Facts, SourceView
from trackside.jobs.verdicts.judging import judge
from trackside.jobs.verdicts.memory import Memory
from trackside.model.jobs import Job, JobsSample, JobState, QueueNow, WorkerNow

NOW = 1_800_000_000_000


class Situation:
    """Looks at the same source again and again; `at` is in seconds since the beginning of the test."""

    def __init__(self):
        self.memory = Memory()
        self.verdicts = ()
        self.facts = {}

    def look(self, at=0, **sample):
        view = {name: sample.pop(name) for name in ("error", "knows_workers", "slowed", "backend") if name in sample}
        seen = None if sample.pop("unseen", False) else JobsSample(at_ms=NOW + int(at * 1000), **sample)
        source = SourceView("rq", view.pop("backend", "rq"), seen, looked_ms=NOW, **view)
        return self.judge(at, sources=(source,))

    def judge(self, at=0, **facts):
        given = Facts(**{"watching_since_ms": NOW, **self.facts, **facts})
        judgement = judge(given, self.memory, NOW + int(at * 1000))
        self.memory = judgement.memory
        # In tests a space is a space.
        self.verdicts = tuple(replace(one, sentence=one.sentence.replace("\u202f", " ")) for one in judgement.verdicts)
        return [verdict.kind.value for verdict in self.verdicts]


@pytest.fixture
def situation():
    return Situation()


@pytest.fixture
def now():
    return NOW


def queue(name="high", waiting=0, oldest=None, at=0, **more):
    """`oldest`: for how many seconds it has waited, at second `at`."""
    oldest_ms = None if oldest is None else NOW + int((at - oldest) * 1000)
    return QueueNow(name, {JobState.QUEUED: waiting}, oldest_ms, **more)


def worker(id="w-1", queues=("high",), beat=0, expected=None, **more):
    expected_ms = None if expected is None else NOW + int(expected * 1000)
    return WorkerNow(id, queues, "idle", NOW + int(beat * 1000), expected_ms, **more)


def running(id="j-1", worker="w-1", started=0, lease=None, attempt=1, kind="render"):
    lease_ms = None if lease is None else NOW + int(lease * 1000)
    return Job(
        id,
        kind,
        "high",
        JobState.RUNNING,
        "started",
        started_ms=NOW + int(started * 1000),
        attempt=attempt,
        worker=worker,
        lease_until_ms=lease_ms,
    )


@pytest.fixture
def make():
    """The three nouns of a sample."""

    class Make:
        queue = staticmethod(queue)
        worker = staticmethod(worker)
        running = staticmethod(running)

    return Make
