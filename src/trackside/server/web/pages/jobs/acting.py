"""Which buttons a reader gets: those of what their role and the source's own credential allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trackside.jobs.actor import Ability, Verb
from trackside.jobs.ledger.figures import FailureGroup, JobFilter
from trackside.jobs.search import JobSearch
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.runs.store import RunFilter
from trackside.server.web.console import Console

MOST_OF_A_CAUSE = 200
"""Jobs that one button retries."""
Verbs = Mapping[str, Mapping[Verb, Ability]]
"""By source."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """What can be done to all that a search finds: a filter that the form repeats."""

    source: str
    fields: tuple[tuple[str, str], ...]
    verbs: tuple[Verb, ...]


def verbs_of(console: Console, sources: Iterable[str], *, may: bool) -> Verbs:
    """May ask the back-ends, the first time."""
    actions = console.job_actions() if may else None
    return {source: {} if actions is None else actions.abilities(source) for source in sources}


def ids_of(ledger: JobsLedger, group: FailureGroup, start_ms: int) -> tuple[str, ...]:
    """The newest jobs that failed of that cause since then, each once."""
    runs = ledger.recent(RunFilter(JobFilter(group.source), cause=group.cause), MOST_OF_A_CAUSE).runs
    return tuple(dict.fromkeys(run.id for run in runs if run.ended_ms >= start_ms))


def bulk_of(search: JobSearch, verbs: Verbs) -> Bulk | None:
    """None: it is not what a back-end can be asked for as it is, or it is of several sources, or of everything."""
    query = search.query
    is_plain = not search.comparisons and not search.arguments and not search.texts
    if len(search.sources) != 1 or not is_plain:
        return None
    (source,) = search.sources
    fields = [("state", state.value) for state in query.states]
    texts = (("queue", query.queue), ("kind", query.kind), ("worker", query.worker), ("text", query.text))
    fields += [(name, value) for name, value in texts if value]
    able = tuple(
        verb
        for verb, ability in verbs.get(source, {}).items()
        if not verb.is_for_queues and (not query.states or query.states & ability.states)
    )
    return Bulk(source, tuple(fields), able) if fields and able else None
