"""A ledger on a file of its own, and samples in one line."""

from dataclasses import replace

import pytest

from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, Job, JobsSample, JobState
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Ports

AT = 1_800_000_000_000


@pytest.fixture
def at():
    return AT


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
def db(path):
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def ledger(db):
    return JobsLedger(db)


@pytest.fixture
def ended():
    """`ended("a", 5)`: job a ended 5 s after the beginning."""

    def make(id, second, state=JobState.SUCCEEDED, **more):
        plain = Job(
            id,
            "render",
            "high",
            state,
            state.value,
            enqueued_ms=AT + second * 1000 - 3_000,
            started_ms=AT + second * 1000 - 2_000,
            finished_ms=AT + second * 1000,
            attempt=1,
        )
        return replace(plain, **more)

    return make


@pytest.fixture
def sample():
    def make(second, *finished, **more):
        return JobsSample(at_ms=AT + second * 1000, finished=finished, cursor=[second], **more)

    return make


class HeldClock:
    def __init__(self):
        self.ms = AT

    def now_ms(self):
        return self.ms

    def monotonic_s(self):
        return self.ms / 1000

    def tick(self, seconds):
        self.ms += int(seconds * 1000)


class FakeSource:
    """Says what it is told to say; a look takes `takes_s` of the held clock."""

    fidelity = {Measure.WORKERS: Fidelity.EXACT}

    def __init__(self, clock, backend="rq"):
        self.clock = clock
        self.backend = backend
        self.cursors = []
        self.takes_s = 0.001
        self.says = {}
        self.error = None
        self.is_closed = False

    def sample(self, cursor=None):
        self.cursors.append(cursor)
        self.clock.tick(self.takes_s)
        if self.error is not None:
            raise self.error
        return JobsSample(at_ms=self.clock.ms, cursor=[len(self.cursors)], **self.says)

    def close(self):
        self.is_closed = True


@pytest.fixture
def clock():
    return HeldClock()


@pytest.fixture
def source(clock):
    return FakeSource(clock)


@pytest.fixture
def make_source(clock):
    return lambda backend="rq": FakeSource(clock, backend)


@pytest.fixture
def ports(db, ledger, clock):
    return lambda holder="one": Ports(db, ledger, clock, holder)
