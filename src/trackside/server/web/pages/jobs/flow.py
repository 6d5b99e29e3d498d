"""Pollers and outboxes: a row for each hop, from the series that applications expose of their own tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trackside.model.labels import METRIC_NAME, quoted
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.console import Console
from trackside.server.web.pages.jobs.choice import Choice
from trackside.server.web.period import Period
from trackside.server.web.verdict import Level

LAG_BAD_S, LAG_WORTH_SAYING_S = 300.0, 60.0
ATTEMPTS_BAD = 5
"""Something that fails for so long fails for a reason of its own."""
BLOCKED_S = 60.0
_GAUGES = (
    "poller_lag_seconds",
    "poller_waiting",
    "queue_jobs",
    "queue_oldest_seconds",
    "outbox_pending",
    "outbox_oldest_seconds",
    "outbox_attempts_max",
    "outbox_blocked_by_xmin_seconds",
)
_RATES = {
    "polls": ("poller_polls_total", "job, poller, result"),
    "claimed": ("poller_claimed_total", "job, poller"),
    "published": ("outbox_published_total", "job, queue"),
    "errors": ("outbox_publish_errors_total", "job, queue"),
    "dead": ("dead_total", "job, queue"),
}
Key = tuple[str, str]
"""The service, and the name of the poller or queue in it."""


@dataclass(frozen=True, slots=True)
class PollerRow:
    service: str
    name: str
    level: Level
    lag_s: float | None
    """How long the oldest row waits: asked of the table, so it is true of a poller that is dead."""
    waiting: float | None
    polls: float | None
    """Rounds a second."""
    errors: float | None
    claimed: float | None
    link: str


@dataclass(frozen=True, slots=True)
class OutboxRow:
    service: str
    name: str
    level: Level
    oldest_s: float | None
    pending: float | None
    states: tuple[tuple[str, float], ...]
    published: float | None
    errors: float | None
    attempts: float | None
    """The most of anything that is not done yet."""
    blocked_s: float | None
    link: str


@dataclass(frozen=True, slots=True)
class Flow:
    pollers: tuple[PollerRow, ...] = ()
    outboxes: tuple[OutboxRow, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.pollers and not self.outboxes


@dataclass(frozen=True, slots=True)
class _Found:
    """Values by service and name."""

    gauges: Mapping[str, Mapping[Key, float]]
    rates: Mapping[str, Mapping[Key, float]]
    states: Mapping[Key, tuple[tuple[str, float], ...]]

    def gauge(self, name: str, key: Key) -> float | None:
        return self.gauges.get(name, {}).get(key)

    def rate(self, name: str, key: Key) -> float | None:
        return self.rates.get(name, {}).get(key)

    def keys(self, prefix: str, *rates: str) -> list[Key]:
        of = [keys for name, keys in self.gauges.items() if name.startswith(prefix)]
        of += [self.rates[name] for name in rates if name in self.rates]
        return sorted({key for keys in of for key in keys if key[1]})


async def flow_of(console: Console, period: Period, choice: Choice) -> Flow:
    """Where a query fails there is nothing to show: the rest of the page does not depend on it."""
    names = "|".join(_GAUGES)
    questions = {"gauges": Question(f'{{__name__=~"{names}"}}')}
    for key, (name, by) in _RATES.items():
        questions[key] = Question(f"sum by ({by}) (rate({name}[{period.window}]))")
    answers = await ask_all(console.backend, console.clock, period, questions)
    found = _found(answers)
    queue = choice.queue
    pollers = [_poller(key, found, period) for key in found.keys("poller_", "claimed") if not queue]
    outboxes = [_outbox(key, found, period) for key in found.keys("outbox_", "published") if queue in ("", key[1])]
    return Flow(tuple(pollers), tuple(outboxes))


def _found(answers: Mapping[str, Answer]) -> _Found:
    gauges: dict[str, dict[Key, float]] = {}
    states: dict[Key, list[tuple[str, float]]] = {}
    for labels, value in answers["gauges"].vector():
        name = labels.get(METRIC_NAME)
        key = (labels.get("job"), labels.get("poller") or labels.get("queue"))
        if name == "queue_jobs":
            states.setdefault(key, []).append((labels.get("state"), value))
        elif name in _GAUGES:
            # Every instance asks the same table.
            of = gauges.setdefault(name, {})
            of[key] = max(value, of.get(key, value))
    rates = {name: answers[name].by("job", "poller" if "poller" in by else "queue") for name, (_, by) in _RATES.items()}
    polls = answers["polls"].by("job", "poller", "result")
    failed = {(job, poller): value for (job, poller, result), value in polls.items() if result == "error"}
    totals: dict[Key, float] = {}
    for (job, poller, _), value in polls.items():
        totals[job, poller] = totals.get((job, poller), 0.0) + value
    known = {name: _pairs(values) for name, values in rates.items()} | {"polls": totals, "poll errors": failed}
    return _Found(gauges, known, {key: tuple(sorted(found)) for key, found in states.items()})


def _pairs(values: Mapping[tuple[str, ...], float]) -> dict[Key, float]:
    return {(service, name): value for (service, name), value in values.items()}


def _poller(key: Key, found: _Found, period: Period) -> PollerRow:
    lag_s, errors = found.gauge("poller_lag_seconds", key), found.rate("poll errors", key)
    level = max(_lag_level(lag_s), Level.WARN if errors else Level.OK)
    return PollerRow(
        *key,
        level,
        lag_s,
        found.gauge("poller_waiting", key),
        found.rate("polls", key),
        errors,
        found.rate("claimed", key),
        period.explore(f'poller_lag_seconds{{poller="{quoted(key[1])}"}}'),
    )


def _outbox(key: Key, found: _Found, period: Period) -> OutboxRow:
    oldest_s, attempts = found.gauge("outbox_oldest_seconds", key), found.gauge("outbox_attempts_max", key)
    blocked_s, pending = found.gauge("outbox_blocked_by_xmin_seconds", key), found.gauge("outbox_pending", key)
    is_poisoned = attempts is not None and attempts >= ATTEMPTS_BAD and bool(pending)
    is_blocked = blocked_s is not None and blocked_s > BLOCKED_S
    level = max(_lag_level(oldest_s), Level.WARN if is_poisoned or is_blocked else Level.OK)
    return OutboxRow(
        *key,
        level,
        oldest_s,
        pending,
        tuple((state, value) for state, value in found.states.get(key, ()) if value),
        found.rate("published", key),
        found.rate("errors", key),
        attempts,
        blocked_s,
        period.explore(f'outbox_oldest_seconds{{queue="{quoted(key[1])}"}}'),
    )


def _lag_level(lag_s: float | None) -> Level:
    if lag_s is None:
        return Level.OK
    return Level.BAD if lag_s > LAG_BAD_S else Level.WARN if lag_s > LAG_WORTH_SAYING_S else Level.OK
