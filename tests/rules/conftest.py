"""A backend that answers what the test says, an appender that remembers, and a clock turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from trackside.exceptions import QueryError
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.server.db.database import Database
from trackside.server.rules.config import parse_rule_file
from trackside.server.rules.group import RulePorts, RuleSettings
from trackside.server.rules.groups import RuleGroups
from trackside.server.rules.templates import ExternalFacts
from trackside.server.schedule import Schedule
from trackside.server.series import STALE_BITS, Matrix, QueryResult, Scalar, Text
from trackside.server.storage import Appended

Vector = dict[Labels, float]
Answer = Vector | float | str | Exception


class FakeClock:
    ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


class FakeBackend:
    """`answers` by expression: a vector, a number, a text, an error, or a function of the time."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[int], Answer]] = {}
        self.asked: list[tuple[str, int]] = []

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        self.asked.append((expr, time_ms))
        answer = self.answers.get(expr, {})
        if callable(answer):
            answer = answer(time_ms)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return QueryResult(Text(time_ms, answer), False)
        if isinstance(answer, float):
            return QueryResult(Scalar(time_ms, answer), False)
        values = np.array([[value] for value in answer.values()], np.float64).reshape(len(answer), 1)
        present = np.ones((len(answer), 1), np.bool_)
        return QueryResult(Matrix(tuple(answer), np.array([time_ms]), values, present), False)


class FakeAppender:
    def __init__(self) -> None:
        self.labels: list[Labels] = []
        self.rows: list[tuple[str, int, dict[Labels, float | str]]] = []

    def refs(self, labels):
        for one in labels:
            if one not in self.labels:
                self.labels.append(one)
        return np.array([self.labels.index(one) for one in labels], np.int64)

    def append_row(self, group, time_ms, refs, values):
        stale = values.view(np.uint64) == STALE_BITS
        row = {
            self.labels[ref]: "stale" if is_stale else value
            for ref, value, is_stale in zip(refs.tolist(), values.tolist(), stale.tolist(), strict=True)
        }
        self.rows.append((group, time_ms, row))
        return Appended(len(row))

    def append_series(self, group, series):
        raise QueryError("rules append rows")


class Rules:
    """Rule groups with everything around them."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.backend = FakeBackend()
        self.appender = FakeAppender()
        self.clock = FakeClock()
        self.offered: list[tuple[int, list[Alert]]] = []
        self.settings = RuleSettings(ExternalFacts("http://monitor", Labels.of(region="eu")))
        self.start()

    def start(self) -> None:
        self.db = Database(self.folder / "trackside.db")
        self.registry = Registry()
        self.schedule = Schedule()
        ports = RulePorts(self.backend, self.appender, self.db, self.clock, self.registry)
        self.groups = RuleGroups(ports, self.schedule, self._take, self.settings)

    def restart(self) -> None:
        """As after kill -9: only the disk remains."""
        self.db.close()
        self.start()

    def _take(self, alerts, now_ms: int, interval_ms: int) -> None:
        if alerts:
            self.offered.append((now_ms, list(alerts)))

    def apply(self, text: str, now_ms: int = 0) -> None:
        asyncio.run(self.groups.apply(parse_rule_file(text, "rules.yml"), now_ms))

    def run(self, *times_ms: int) -> None:
        async def story() -> None:
            for now_ms in times_ms:
                self.clock.ms = now_ms
                await self.schedule.run_due(now_ms)

        asyncio.run(story())

    def minutes(self, first: int, last: int) -> None:
        self.run(*(minute * 60_000 for minute in range(first, last + 1)))

    @property
    def states(self) -> list[str]:
        """ "Down pending" for each alert there is."""
        alerts = [alert for group in self.groups.statuses() for rule in group.rules for alert in rule.alerts]
        return [f"{alert.name} {alert.state.value}" for alert in alerts]


@pytest.fixture
def rules(tmp_path):
    made = Rules(tmp_path)
    yield made
    made.db.close()
