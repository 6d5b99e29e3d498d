"""The `jobs` section: where jobs are read from, who has to be there, and where trouble begins."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from trackside.jobs.verdicts.facts import ExpectedBeat, ExpectedWorkers, Limits
from trackside.server.schema import DurationMs, Section

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LEAST_INTERVAL_MS = 1_000
RESERVED = frozenset(("actions", "audit"))
"""Pages of their own, where those of a source's jobs would be: /jobs/NAME/ID."""
_TRACE_ID = "{trace_id}"

SourceType = Literal[
    "rq",
    "celery",
    "arq",
    "dramatiq",
    "procrastinate",
    "apalis",
    "oban",
    "river",
    "pgqueuer",
    "good_job",
    "solid_queue",
    "outbox",
    "table",
]
REDIS_TYPES = frozenset(("rq", "celery", "arq", "dramatiq"))


def _name_or_map(value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and value:
        return value
    raise ValueError("expected the name of a table, or its columns as keys and values")


TableText = Annotated[Any, BeforeValidator(_name_or_map)]


class JobSourceConfig(Section):
    name: str
    """The label `source` of its metrics, and part of the addresses of its pages."""
    type: SourceType
    url: SecretStr = SecretStr("")
    """redis://, postgresql://, mysql:// or sqlite:///; of a user who may only read."""
    url_file: str = ""
    """The same, from a file of its own."""
    prefix: str = ""
    """Of the keys in Redis, where the application has set one: RQ_KEY_PREFIX, `global_keyprefix`, `namespace`."""
    queues: tuple[str, ...] = ()
    """arq and Celery: those that cannot be found by themselves; dramatiq: the only ones to watch."""
    schema_: str = Field(default="", alias="schema")
    """Of the library's tables, where it is not the usual one."""
    table: TableText = "jobs"
    """Type `table`: its name, if its columns have usual names; else which column is what. Type `outbox`: its name, as
    the application gave it to `WorkQueue`."""
    interval: DurationMs = 5_000
    """How often to look."""
    act_url: SecretStr = SecretStr("")
    """Of a user who may write, for the buttons on the pages; without it the source is only looked at."""
    act_url_file: str = ""

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name: {name!r}; expected letters, digits, _, - and ., at most 64 of them")
        if name.lower() in RESERVED:
            raise ValueError(f"{name!r} is the address of another page: /jobs/{name}; give the source another name")
        return name

    @field_validator("interval")
    @classmethod
    def _is_seldom(cls, interval_ms: int) -> int:
        if interval_ms < _LEAST_INTERVAL_MS:
            raise ValueError("expected 1s or more: back-ends are not there to be watched")
        return interval_ms

    @model_validator(mode="after")
    def _sensible(self) -> JobSourceConfig:
        if bool(self.url.get_secret_value()) + bool(self.url_file) != 1:
            raise ValueError(f"the source {self.name!r} needs one of url and url_file")
        if self.act_url.get_secret_value() and self.act_url_file:
            raise ValueError("expected one of act_url and act_url_file, found both")
        return self


class ExpectConfig(Section):
    """Workers of a queue, or a beat."""

    queue: str = ""
    workers: int = Field(default=1, ge=1)
    source: str = ""
    """Of the queue; empty: any."""
    beat: str = ""
    """The name it was given in `monitor.beat(name, …)`."""
    every: DurationMs = 0

    @model_validator(mode="after")
    def _is_one_of_both(self) -> ExpectConfig:
        if bool(self.queue) + bool(self.beat) != 1:
            raise ValueError("expected one of queue and beat")
        if self.beat and not self.every:
            raise ValueError(f"the beat {self.beat!r} needs every: how often it is to be heard, such as 1s")
        if self.beat and (self.source or "workers" in self.model_fields_set):
            raise ValueError("workers and source belong to a queue, not to a beat")
        if self.queue and self.every:
            raise ValueError("every belongs to a beat, not to a queue")
        return self


class JobsConfig(Section):
    sources: tuple[JobSourceConfig, ...] = ()
    expect: tuple[ExpectConfig, ...] = ()
    """Who has to be there, and is missed even if it never was."""
    oldest: DurationMs = 300_000
    """How long a job that is due may wait."""
    budget_usd_per_day: float | None = Field(default=None, gt=0)
    """For what jobs say that they cost."""
    apalis_prefix: str = "apalis"
    """Of the metrics under which dashboards for apalis ask; "" for none of them."""
    alerts: bool = True
    """Whether the rules that come with this server are in force."""
    trace_url: str = ""
    """Where traces are shown, with {trace_id} in its place: the page of a job links there."""

    @field_validator("apalis_prefix")
    @classmethod
    def _is_prefix(cls, prefix: str) -> str:
        if prefix and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", prefix):
            raise ValueError(f"not the beginning of a metric's name: {prefix!r}")
        return prefix

    @field_validator("trace_url")
    @classmethod
    def _is_for_traces(cls, url: str) -> str:
        # Nothing else may become a link on a page.
        if url and (not re.match(r"https?://[^\s/{}]+/", url) or _TRACE_ID not in url):
            raise ValueError(f"expected an address with {_TRACE_ID} in it, such as https://tempo.example/{_TRACE_ID}")
        return url

    def limits(self) -> Limits:
        return Limits(oldest_ms=self.oldest, budget_usd=self.budget_usd_per_day)

    def expected_workers(self) -> tuple[ExpectedWorkers, ...]:
        return tuple(ExpectedWorkers(one.queue, one.workers, one.source) for one in self.expect if one.queue)

    def expected_beats(self) -> tuple[ExpectedBeat, ...]:
        return tuple(ExpectedBeat(one.beat, one.every) for one in self.expect if one.beat)
