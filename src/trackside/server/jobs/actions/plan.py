"""What an action would do, before it does it: which jobs, in a sentence, and a token that stands for exactly these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from threading import Lock

from trackside.jobs.actor import Ability, Verb
from trackside.jobs.search import in_quotes, quoted
from trackside.model.jobs import JobQuery, JobState
from trackside.server.jobs.actions.refusal import ActionError, Kind

MAX_JOBS = 1_000
"""Of one action."""
LIFETIME_MS = 5 * 60_000
_MAX_OPEN = 200
_MAX_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class Person:
    """Who wants something."""

    key: str
    """Tells those apart who have the same name."""
    name: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted: of these jobs, or of those that a filter finds."""

    verb: Verb
    source: str
    ids: tuple[str, ...] = ()
    """Names of queues for those verbs that are for queues."""
    query: JobQuery | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    token: str
    asked: Asked
    filter: str
    """As text; empty for a list of ids."""
    ids: tuple[str, ...]
    """All that match."""
    left_out: Mapping[str, str]
    """Of these: why nothing will be done to them."""
    sentence: str
    expires_ms: int

    @property
    def matched(self) -> int:
        return len(self.ids)

    @property
    def will_change(self) -> int:
        return len(self.ids) - len(self.left_out)

    @property
    def to_change(self) -> tuple[str, ...]:
        return tuple(id for id in self.ids if id not in self.left_out)


@dataclass(slots=True)
class Matches:
    """What was found, newest first."""

    states: dict[str, JobState | None] = field(default_factory=dict)
    """None: there is no such job."""
    has_more: bool = False
    """More than one action may change."""
    is_cut: bool = False
    """Older ones were not looked at."""


class Plans:
    """Tokens are good once, for whom they were made, for some minutes, and not beyond a restart."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[str, tuple[Person, Plan]] = {}

    def keep(self, person: Person, plan: Plan, now_ms: int) -> None:
        with self._lock:
            self._forget(now_ms)
            own = [token for token, (whose, _) in self._open.items() if whose.key == person.key]
            for token in own[: max(0, len(own) - _MAX_OF_ONE + 1)]:
                del self._open[token]
            while len(self._open) >= _MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[plan.token] = (person, plan)

    def see(self, person: Person, token: str, now_ms: int) -> Plan:
        """
        Raises:
            ActionError: it is not good (any more), or somebody else's.
        """
        with self._lock:
            return self._found(person, token, now_ms)

    def take(self, person: Person, token: str, now_ms: int) -> Plan:
        """The token is used up then; otherwise as `see`."""
        with self._lock:
            plan = self._found(person, token, now_ms)
            del self._open[token]
            return plan

    def _found(self, person: Person, token: str, now_ms: int) -> Plan:
        self._forget(now_ms)
        whose, plan = self._open.get(token, (None, None))
        if plan is None or whose is None:
            raise ActionError(
                "this plan was carried out already, or is older than 5 minutes: look again at what it would do",
                Kind.UNKNOWN,
            )
        if whose.key != person.key:
            raise ActionError("somebody else made this plan: only they can confirm it", Kind.FORBIDDEN)
        return plan

    def _forget(self, now_ms: int) -> None:
        # Made later than now: the clock was set back, and nobody knows how old it is.
        over = [token for token, (_, plan) in self._open.items() if not 0 < plan.expires_ms - now_ms <= LIFETIME_MS]
        for token in over:
            del self._open[token]


def planned(asked: Asked, ability: Ability, found: Matches, now_ms: int) -> Plan:
    left_out = {} if asked.verb.is_for_queues else _left_out(asked.verb, ability, found.states)
    return Plan(
        token=token_urlsafe(24),
        asked=asked,
        filter="" if asked.query is None else filter_text(asked.query),
        ids=tuple(found.states),
        left_out=left_out,
        sentence=_sentence(asked, ability, found, left_out),
        expires_ms=now_ms + LIFETIME_MS,
    )


def filter_text(query: JobQuery) -> str:
    """In the words of the search box."""
    parts = [f"state:{state.value}" for state in JobState if state in query.states]
    parts += [
        f"{name}:{quoted(text)}"
        for name, text in (("queue", query.queue), ("kind", query.kind), ("worker", query.worker))
        if text
    ]
    return " ".join([*parts, *([in_quotes(query.text)] if query.text else [])])


def is_empty(query: JobQuery) -> bool:
    return query == JobQuery()


def _left_out(verb: Verb, ability: Ability, states: Mapping[str, JobState | None]) -> dict[str, str]:
    return {
        id: "there is no such job (any more)" if state is None else f"it is {state.value}, and cannot be {verb.past}"
        for id, state in states.items()
        if state is None or state not in ability.states
    }


def _sentence(asked: Asked, ability: Ability, found: Matches, left_out: Mapping[str, str]) -> str:
    changed = len(found.states) - len(left_out)
    if asked.verb.is_for_queues:
        parts = [f"{_listed(asked.ids)} will be {asked.verb.past} in {asked.source}."]
    elif not found.states:
        parts = [f"No job of {asked.source} matches."]
    else:
        parts = [f"{_jobs(changed)} of {asked.source} will be {asked.verb.past}."]
    if left_out:
        states = Counter("gone" if (state := found.states[id]) is None else state.value for id in left_out)
        told = ", ".join(f"{count:,} {word}" for word, count in states.most_common())
        parts.append(f"{_jobs(len(left_out))} will be left alone: {told}.")
    if found.has_more:
        parts.append(
            f"More match than one action may change: the newest {MAX_JOBS:,} are taken; repeat it for the rest."
        )
    elif found.is_cut:
        parts.append("Older jobs were not looked at: more may match.")
    return " ".join([*parts, *([ability.note] if ability.note and (changed or not found.states) else [])])


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


def _listed(names: Sequence[str]) -> str:
    return ("The queue " if len(names) == 1 else "The queues ") + ", ".join(names)
