"""Actions on jobs: planned, confirmed, done in small batches on a thread, stopped, and written down as they go."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock, Thread
from uuid import uuid4

from trackside.exceptions import SourceError
from trackside.jobs.actor import UNCLEAR, Ability, JobActor, Verb
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.jobs.actions import store
from trackside.server.jobs.actions.matching import Lookup, by_filter, by_ids
from trackside.server.jobs.actions.plan import MAX_JOBS, Asked, Matches, Person, Plan, Plans, is_empty, planned
from trackside.server.jobs.actions.refusal import ActionError, Kind
from trackside.server.jobs.actions.store import Action, New, Target, Wanted

_log = logging.getLogger("trackside.server.jobs")
MAX_ID_CHARS = 500
MAX_OPEN = 8
"""Actions that run or wait."""
SILENT_MS = 120_000
"""After so long without a word from the process that does it, an action counts as interrupted."""
_WAIT_S = 5.0
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Place:
    """A source, for those who act."""

    jobs: Lookup
    actor: JobActor | None
    """None: it is only looked at."""
    lock: Lock = field(default_factory=Lock)
    """Held by the action that is under way."""


@dataclass(frozen=True, slots=True)
class Throttle:
    batch: int = 100
    pause_s: float = 0.2
    """Between two batches: the application's own work comes first."""


@dataclass(frozen=True, slots=True)
class Told:
    """An action as it is now."""

    action: Action
    state: str
    """As of the action, or "interrupted": whoever did it is gone, and what is not settled may or may not be done."""
    targets: tuple[Target, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state in store.OPEN

    @property
    def are_queues(self) -> bool:
        """Its targets, which are jobs otherwise."""
        return Verb(self.action.verb).is_for_queues


class JobActions:
    """Blocks on SQLite and on back-ends: not for an event loop. Any thread may call it."""

    def __init__(
        self, places: Mapping[str, Place], db: Database, clock: Clock, throttle: Throttle | None = None
    ) -> None:
        self._places = dict(places)
        self._db = db
        self._clock = clock
        self._throttle = throttle or Throttle()
        self._plans = Plans()
        self._holder = uuid4().hex
        self._lock = Lock()
        self._running: dict[int, tuple[Thread, Event]] = {}
        self._is_closed = False
        db.create(store.SCHEMA)

    def abilities(self, source: str) -> Mapping[Verb, Ability]:
        """What can be done in a source; nothing in one that is only looked at, or not known."""
        place = self._places.get(source)
        return {} if place is None or place.actor is None else place.actor.abilities

    def plan(self, person: Person, asked: Asked) -> Plan:
        """Changes nothing.

        Raises:
            ActionError: it cannot be done, in a sentence that says what to do instead.
        """
        _, ability = self._able(asked)
        found = self._matches(asked, ability)
        plan = planned(asked, ability, found, self._clock.now_ms())
        self._plans.keep(person, plan, self._clock.now_ms())
        return plan

    def planned(self, person: Person, token: str) -> Plan:
        """
        Raises:
            ActionError: the token is not good.
        """
        return self._plans.see(person, token, self._clock.now_ms())

    def confirm(self, person: Person, token: str) -> int:
        """Begins what was planned, and gives its number.

        Raises:
            ActionError: the token is not good, or too much is under way.
        """
        with self._lock:
            if self._is_closed or len(self._running) >= MAX_OPEN:
                raise ActionError("too much is being done already: try again when some of it is over", Kind.BUSY)
        plan = self._plans.take(person, token, self._clock.now_ms())
        place, _ = self._able(plan.asked)
        action = self._written_down(person, plan)
        stop = Event()
        name = f"trackside-action-{action}"
        thread = Thread(target=self._run, args=(action, place, plan, stop), name=name, daemon=True)
        with self._lock:
            self._running[action] = (thread, stop)
        thread.start()
        return action

    def action(self, id: int, targets: int = MAX_JOBS) -> Told | None:
        found = self._db.read(partial(store.action, id=id))
        if found is None:
            return None
        return self._told(found, self._db.read(partial(store.targets, action=id, limit=targets)))

    def stop(self, person: Person, id: int) -> bool:
        """After the batch that is under way. False: there was nothing to stop."""
        is_asked = self._db.write(partial(store.ask_to_stop, action=id, who=person.name)).result()
        with self._lock:
            if id in self._running:
                self._running[id][1].set()
        return is_asked

    def audit(self, wanted: Wanted | None = None, before: int = 0, limit: int = 50, targets: int = 0) -> list[Told]:
        """Newest first; `before`: the number of the last one that was seen, or 0. Of those that were no filter's the
        first `targets` are told."""

        def read(connection: sqlite3.Connection) -> list[tuple[Action, tuple[Target, ...]]]:
            return [
                (one, store.targets(connection, one.id, targets) if targets and not one.filter else ())
                for one in store.actions(connection, wanted or Wanted(), before, limit)
            ]

        return [self._told(*one) for one in self._db.read(read)]

    def of_job(self, source: str, job: str, limit: int = 50) -> list[Told]:
        """What was done to one job, newest first; each with that one target."""
        read = partial(store.of_job, source=source, job=job, limit=limit)
        return [self._told(action, (target,)) for action, target in self._db.read(read)]

    def close(self, within_s: float = 15.0) -> None:
        """Ends what is under way, each after its batch."""
        with self._lock:
            self._is_closed = True
            running = dict(self._running)
        for id, (_, stop) in running.items():
            self._db.write(partial(store.ask_to_stop, action=id, who="the server, which was stopped")).result()
            stop.set()
        for thread, _ in running.values():
            thread.join(within_s)
        for place in self._places.values():
            if place.actor is not None:
                place.actor.close()

    def _able(self, asked: Asked) -> tuple[Place, Ability]:
        place = self._places.get(asked.source)
        if place is None:
            known = ", ".join(self._places) or "none"
            raise ActionError(f"no source is named {asked.source!r}; there are: {known}", Kind.UNKNOWN)
        if place.actor is None:
            raise ActionError(
                f"the source {asked.source} is read-only: to change jobs, give it the address of a user who may write,"
                " as act_url of that source in the configuration",
                Kind.FORBIDDEN,
            )
        abilities = place.actor.abilities
        if asked.verb not in abilities:
            can = (
                ", ".join(verb.value for verb in Verb if verb in abilities)
                or "nothing that is known to be sound, or it does not answer"
            )
            raise ActionError(f"jobs of {asked.source} cannot be {asked.verb.past}; what can be done there: {can}")
        return place, abilities[asked.verb]

    def _matches(self, asked: Asked, ability: Ability) -> Matches:
        if len(asked.ids) > MAX_JOBS:
            raise ActionError(
                f"{len(asked.ids):,} jobs are more than one action may change: at most {MAX_JOBS:,}, so do it in parts"
            )
        if any(not id or len(id) > MAX_ID_CHARS for id in asked.ids):
            raise ActionError(f"an id has from 1 to {MAX_ID_CHARS} characters")
        if asked.verb.is_for_queues:
            if not asked.ids:
                raise ActionError(f"say which queue is to be {asked.verb.past}")
            return Matches(dict.fromkeys(asked.ids))
        if bool(asked.ids) == (asked.query is not None and not is_empty(asked.query)):
            raise ActionError("say which jobs: either their ids, or a filter that not every job matches")
        jobs = self._places[asked.source].jobs
        try:
            if asked.query is None or asked.ids:
                return by_ids(jobs, asked.ids)
            return by_filter(jobs, asked.query, ability, MAX_JOBS)
        except SourceError as error:
            raise ActionError(str(error), Kind.UNREACHABLE) from error

    def _written_down(self, person: Person, plan: Plan) -> int:
        now_ms = self._clock.now_ms()
        asked = plan.asked
        new = New(now_ms, person.name, asked.verb.value, asked.source, plan.filter, self._holder)
        targets = [Target(id, outcome=plan.left_out.get(id)) for id in plan.ids]
        self._db.write(partial(store.prune, now_ms=now_ms)).result()
        return self._db.write(partial(store.insert, new=new, targets=targets)).result()

    def _run(self, action: int, place: Place, plan: Plan, stop: Event) -> None:
        try:
            self._wait_for_turn(action, place, stop)
            try:
                state, reason = self._batches(action, place, plan, stop)
            finally:
                place.lock.release()
        except Exception as error:  # noqa: BLE001 - whatever it was, the audit must not say that it goes on
            _log.exception("the action %s on jobs of %s failed", action, plan.asked.source)
            state, reason = "failed", f"{type(error).__name__}: {error}"
        try:
            self._db.write(
                partial(store.end, action=action, state=state, reason=reason, now_ms=self._clock.now_ms())
            ).result()
        finally:
            with self._lock:
                del self._running[action]

    def _wait_for_turn(self, action: int, place: Place, stop: Event) -> None:
        """One at a time in each source."""
        while not place.lock.acquire(timeout=_WAIT_S):
            self._db.write(partial(store.beat, action=action, state="waiting", now_ms=self._clock.now_ms())).result()

    def _batches(self, action: int, place: Place, plan: Plan, stop: Event) -> tuple[str, str]:
        """How it ended, and why if it failed."""
        size, ids = self._throttle.batch, plan.to_change
        for first in range(0, len(ids), size):
            if first and stop.wait(self._throttle.pause_s):
                return "stopped", ""
            # Whoever wants it to stop may ask another process of ours.
            beat = partial(store.beat, action=action, state="running", now_ms=self._clock.now_ms())
            if self._db.write(beat).result() or stop.is_set():
                return "stopped", ""
            reason = self._batch(action, place, plan.asked.verb, ids[first : first + size])
            if reason:
                return "failed", reason
        return "done", ""

    def _batch(self, action: int, place: Place, verb: Verb, batch: Sequence[str]) -> str:
        """Why no more can be done; "": go on. Written down before it is done: if we vanish in the middle of it, these
        are the ones of which nobody knows."""
        assert place.actor is not None
        begin = partial(store.begin, action=action, jobs=batch, now_ms=self._clock.now_ms())
        self._db.write(begin).result()
        outcomes: Mapping[str, str] = {}
        reason = ""
        try:
            outcomes = place.actor.act(verb, batch)
        except SourceError as error:
            reason = str(error)
        except Exception as error:
            self._settle(action, dict.fromkeys(batch, f"{UNCLEAR}: {error}"), ())
            raise
        untried = [id for id in batch if id not in outcomes]
        self._settle(action, outcomes, untried)
        if untried and not reason:
            reason = next((one for one in outcomes.values() if one.startswith(UNCLEAR)), "the back-end was lost")
        return reason

    def _settle(self, action: int, outcomes: Mapping[str, str], untried: Iterable[str]) -> None:
        now_ms = self._clock.now_ms()
        self._db.write(partial(store.settle, action=action, outcomes=outcomes, untried=untried, now_ms=now_ms)).result()

    def _told(self, action: Action, targets: tuple[Target, ...] = ()) -> Told:
        state = action.state
        if action.is_open:
            if action.holder == self._holder:
                with self._lock:
                    is_alive = action.id in self._running
            else:
                is_alive = 0 <= self._clock.now_ms() - action.beat_ms < SILENT_MS
            state = state if is_alive else INTERRUPTED
        return Told(action, state, targets)
