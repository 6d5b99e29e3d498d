"""What the search box offers: the conditions that there are, with the values that jobs have now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from trackside.jobs.ledger.figures import FailureGroup
from trackside.jobs.search import FIELDS, quoted
from trackside.jobs.verdicts.facts import SourceView
from trackside.model.jobs import JobState

MAX_OF_ONE = 150
"""Values of a field: more of them nobody reads, and every page would carry them."""
_MAX_LENGTH = 100
_COMPARED = ("attempt:>1", "age:>10m", "run:>30s", "wait:>5m", "args.")
_CLASS = re.compile(
    r"([A-Za-z_][\w.]*(?:Error|Exception|Timeout|Warning|Exit|Interrupt)\w*)\b|([A-Za-z_]\w*(?:\.\w+)+):"
)


def search_words(
    views: Sequence[SourceView], kinds: Iterable[str], failures: Iterable[FailureGroup]
) -> tuple[str, ...]:
    """Fields first, then conditions as they are written, each once."""
    samples = [view.sample for view in views if view.sample is not None]
    values: dict[str, Iterable[str]] = {
        "state": [state.value for state in JobState],
        "source": [view.name for view in views],
        "queue": [queue.name for sample in samples for queue in sample.queues],
        "kind": [*kinds, *(job.kind for sample in samples for job in sample.running)],
        "worker": [worker.id for sample in samples for worker in sample.workers],
    }
    words = [f"{field}:" for field in FIELDS if field in values]
    words += _COMPARED
    for field, found in values.items():
        words += [f"{field}:{quoted(value)}" for value in _some(found)]
    return tuple(dict.fromkeys([*words, *_some(_classes(failures))]))


def _some(values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value and len(value) <= _MAX_LENGTH][:MAX_OF_ONE]


def _classes(failures: Iterable[FailureGroup]) -> Iterator[str]:
    """Of errors; a search for one finds it as text."""
    for group in failures:
        found = _CLASS.match(group.text)
        if found is not None:
            yield found[1] or found[2]
