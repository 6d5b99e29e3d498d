"""What can be done to jobs: the seam between their back-ends and whoever presses a button."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from trackside.exceptions import SourceError
from trackside.model.jobs import JobState

DONE = ""
GONE = "there is no such job (any more)"
UNCLEAR = "it is not known whether it was done"


class RefusedError(Exception):
    """The back-end did not do it for one job, and can go on with the next; the text is its reason."""


class Verb(Enum):
    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"
    PAUSE = "pause"
    RESUME = "resume"

    @property
    def is_for_queues(self) -> bool:
        """Names of queues take the place of ids then."""
        return self in (Verb.PAUSE, Verb.RESUME)

    @property
    def past(self) -> str:
        return {Verb.RETRY: "retried", Verb.CANCEL: "cancelled", Verb.DELETE: "deleted"}.get(self, f"{self.value}d")


@dataclass(frozen=True, slots=True)
class Ability:
    """What one verb does in one back-end."""

    states: frozenset[JobState]
    """Of the jobs it can change; empty for what is done to queues."""
    note: str = ""
    """A sentence on what else follows from it."""


class JobActor(Protocol):
    """Writes to a back-end, with a credential of its own. Called by one thread at a time, and never from an event loop:
    it blocks."""

    @property
    def abilities(self) -> Mapping[Verb, Ability]:
        """Only what is sound there. May ask the back-end the first time; empty while it does not answer."""
        ...

    @property
    def verbs(self) -> frozenset[Verb]: ...

    def act(self, verb: Verb, ids: Sequence[str]) -> Mapping[str, str]:
        """To each what became of it: DONE, or the reason why not. A job is looked at again before it is touched, and
        changed only if it still is in a state for that. Those missing in the answer were not tried: the back-end was
        lost before, and the last outcome begins with UNCLEAR then.

        Raises:
            SourceError: nothing was done; in a sentence for whoever runs the back-end.
        """
        ...

    def close(self) -> None: ...


def one_by_one(ids: Iterable[str], act_on: Callable[[str], str]) -> dict[str, str]:
    """Outcomes as `JobActor.act` gives them."""
    outcomes: dict[str, str] = {}
    for id in dict.fromkeys(ids):
        try:
            outcomes[id] = act_on(id)
        except RefusedError as error:
            outcomes[id] = str(error)
        except SourceError as error:
            outcomes[id] = f"{UNCLEAR}: {error}"
            break
    return outcomes


def is_now(state: str) -> str:
    """The reason why a job was left alone."""
    return f"it is {state} now"
