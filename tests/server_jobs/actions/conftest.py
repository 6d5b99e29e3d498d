"""A queue in memory, and what people do to it."""

from __future__ import annotations

from threading import Event

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.actor import DONE, GONE, Ability, Verb, is_now, one_by_one
from trackside.model.jobs import Job, JobDetail, JobsPage, JobState
from trackside.server.db.database import Database
from trackside.server.jobs.actions.actions import JobActions, Place, Throttle
from trackside.server.jobs.actions.plan import Asked, Person

NOW_MS = 1_764_079_335_000
ANN, BEN = Person("1:ann", "ann"), Person("2:ben", "ben")
FAILED, RUNNING = JobState.FAILED, JobState.RUNNING


class HandClock:
    def __init__(self):
        self.time_ms = NOW_MS

    def now_ms(self):
        return self.time_ms

    def monotonic_s(self):
        return self.time_ms / 1000


class Queue:
    """Source and actor in one."""

    def __init__(self):
        self.states = {}
        self.batches = []
        self.error = None
        self.before = lambda batch: None
        self.find_error = None
        self.lost_after = None

    def add(self, count, state=FAILED, begin="job"):
        self.states |= {f"{begin}-{at}": state for at in range(count)}

    def find(self, query, after="", limit=50):
        if self.find_error:
            raise self.find_error
        ids = [id for id, state in self.states.items() if not query.states or state in query.states]
        first = int(after or 0)
        page = ids[first : first + limit]
        jobs = tuple(Job(id, "send", "high", self.states[id], self.states[id].value) for id in page)
        return JobsPage(jobs, str(first + limit) if first + limit < len(ids) else "")

    def get(self, id):
        state = self.states.get(id)
        return None if state is None else JobDetail(Job(id, "send", "high", state, state.value))

    @property
    def abilities(self):
        return {
            Verb.RETRY: Ability(frozenset((FAILED,)), "It gets one attempt."),
            Verb.PAUSE: Ability(frozenset(), "This concerns every queue."),
        }

    @property
    def verbs(self):
        return frozenset(self.abilities)

    def act(self, verb, ids):
        self.batches.append(tuple(ids))
        self.before(ids)
        if self.error:
            raise self.error
        return one_by_one(ids, self._retry if verb is Verb.RETRY else lambda queue: DONE)

    def _retry(self, id):
        if self.lost_after is not None:
            if self.lost_after == 0:
                raise SourceError("the queue is gone")
            self.lost_after -= 1
        state = self.states.get(id)
        if state is not FAILED:
            return GONE if state is None else is_now(state.value)
        self.states[id] = JobState.QUEUED
        return DONE

    def close(self):
        pass


class Desk:
    """Where actions are asked for."""

    def __init__(self, path, pause_s=0.0):
        self.path, self.clock, self.queue = path, HandClock(), Queue()
        self.db = Database(path)
        self.pause_s = pause_s
        self.actions = self.opened()

    def opened(self, holder=None):
        places = {"rq": Place(self.queue, self.queue), "looked-at": Place(self.queue, None)}
        return JobActions(places, self.db, self.clock, Throttle(pause_s=self.pause_s))

    def plan(self, verb=Verb.RETRY, source="rq", ids=(), query=None, person=ANN):
        return self.actions.plan(person, Asked(verb, source, tuple(ids), query))

    def confirmed(self, **asked):
        return self.actions.confirm(ANN, self.plan(**asked).token)

    def over(self, id):
        """Once it is."""
        self.actions._running.get(id, (Done(), None))[0].join(60)
        return self.actions.action(id)

    def close(self):
        self.actions.close()
        self.db.close()


class Done:
    def join(self, within_s):
        pass


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path / "trackside.db")
    yield one
    one.close()


@pytest.fixture
def slow_desk(tmp_path):
    """Whose pause between two batches ends only by being stopped."""
    one = Desk(tmp_path / "trackside.db", pause_s=60.0)
    yield one
    one.close()


@pytest.fixture
def gate():
    return Event()
