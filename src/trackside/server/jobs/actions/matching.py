"""Which jobs an action is about: those named, or those a filter finds, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from trackside.jobs.actor import Ability
from trackside.model.jobs import JobDetail, JobQuery, JobsPage
from trackside.server.jobs.actions.plan import Matches

_MAX_PAGES = 20
_PAGE = 250


class Lookup(Protocol):
    """Jobs of a source; any thread may ask."""

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage: ...

    def get(self, id: str) -> JobDetail | None: ...


def by_ids(jobs: Lookup, ids: Iterable[str]) -> Matches:
    found = Matches()
    for id in dict.fromkeys(ids):
        detail = jobs.get(id)
        found.states[id] = None if detail is None else detail.job.state
    return found


def by_filter(jobs: Lookup, query: JobQuery, ability: Ability, most: int) -> Matches:
    """Without states in the filter, those in a state for the verb: nobody means the successes by "retry queue:high"."""
    wanted = query if query.states else replace(query, states=ability.states)
    found, after = Matches(), ""
    for _ in range(_MAX_PAGES):
        page = jobs.find(wanted, after, _PAGE)
        for job in page.jobs:
            if len(found.states) == most and job.id not in found.states:
                found.has_more = True
                return found
            found.states.setdefault(job.id, job.state)
        after = page.next
        if not after:
            return found
    found.is_cut = True
    return found
