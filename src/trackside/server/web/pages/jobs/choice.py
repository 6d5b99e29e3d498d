"""What of the jobs the reader wants to see: read from the URL, and written back into every link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import quote

from trackside.jobs.ledger.figures import JobFilter
from trackside.model.jobs import JobState
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.period import Period

MAX_TEXT = 500


class Tab(Enum):
    """What the chart shows."""

    FLOW = "flow"
    WAIT = "wait"
    RUN = "run"
    COST = "cost"

    @property
    def text(self) -> str:
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class Choice:
    path: str
    """The page has several addresses; links stay on the one that was asked."""
    backend: str = ""
    """Only sources of it: that follows from the path. Empty: any."""
    source: str = ""
    queue: str = ""
    kind: str = ""
    worker: str = ""
    state: JobState | None = None
    text: str = ""
    """What was written into the search box."""
    after: str = ""
    """Where the page of jobs begins."""
    tab: Tab = Tab.FLOW

    def params(self) -> dict[str, str]:
        return {
            "source": self.source,
            "queue": self.queue,
            "kind": self.kind,
            "worker": self.worker,
            "state": self.state.value if self.state is not None else "",
            "q": self.text,
            "after": self.after,
            "tab": "" if self.tab is Tab.FLOW else self.tab.value,
        }

    def link(self, period: Period, **changed: Any) -> str:
        """To the same page with something else chosen. Another choice begins with the first of the jobs."""
        return period.link(self.path, **replace(self, **{"after": "", **changed}).params())

    @property
    def is_search(self) -> bool:
        """Whether back-ends have to be asked; otherwise what was sampled is enough."""
        return bool(self.text or self.worker or self.state is not None)

    def chips(self) -> list[tuple[str, str]]:
        """What narrows the whole page: name in the URL and value."""
        return [(name, value) for name, value in self.params().items() if value and name in _NARROWING]

    def covers(self, source: str, queue: str = "") -> bool:
        """Whether something of that source, and of that queue if it is of one, is wanted."""
        return (not source or self.source in ("", source)) and (not self.queue or queue in ("", self.queue))

    def names(self, watch: JobsWatch) -> list[str]:
        """The sources that are wanted, in the order of the configuration."""
        return [
            name
            for name, sampler in watch.samplers.items()
            if self.backend in ("", sampler.source.backend) and self.source in ("", name)
        ]

    def filter(self, watch: JobsWatch) -> JobFilter:
        of_backend = frozenset(self.names(watch)) if self.backend else None
        return JobFilter(self.source or None, self.queue or None, self.kind or None, of_backend)


_NARROWING = ("source", "queue", "kind")


def choice_of(params: Mapping[str, str], path: str, backend: str = "") -> Choice:
    """What the URL says; anything in it that makes no sense counts as not said."""
    texts = {name: params.get(name, "")[:MAX_TEXT] for name in ("source", "queue", "kind", "worker", "after")}
    return Choice(
        path,
        backend,
        **texts,
        state=next((state for state in JobState if state.value == params.get("state")), None),
        text=params.get("q", "").strip()[:MAX_TEXT],
        tab=next((tab for tab in Tab if tab.value == params.get("tab")), Tab.FLOW),
    )


def job_path(source: str, id: str) -> str:
    return f"/jobs/{quote(source, safe='')}/{quote(id, safe='')}"
