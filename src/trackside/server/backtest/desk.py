"""Backtests of a running server: one at a time, on a thread, so that nothing else has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from trackside.exceptions import QueryError
from trackside.server.backtest.notifications import Telling
from trackside.server.backtest.result import BacktestResult, Progress
from trackside.server.backtest.running import Backtest, run_on_store
from trackside.server.clock import Clock
from trackside.server.rules.config import RuleGroupConfig
from trackside.server.rules.templates import ExternalFacts
from trackside.server.storage import Querier


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the configuration in force says."""

    groups: tuple[RuleGroupConfig, ...] = ()
    interval_ms: int = 60_000
    external: ExternalFacts = field(default_factory=ExternalFacts)
    telling: Telling | None = None


class BacktestDesk:
    def __init__(self, history: Querier, clock: Clock, surroundings: Callable[[], Surroundings]) -> None:
        """`history` must be safe to read from any thread."""
        self._history, self._clock = history, clock
        self._surroundings = surroundings
        self._one_at_a_time = asyncio.Lock()

    def running_groups(self, rule: str = "", group: str = "") -> tuple[RuleGroupConfig, ...]:
        """Those in force; of one rule, its group with what the rule may read."""
        found = [one for one in self._surroundings().groups if group in ("", one.name)]
        return tuple(one for one in found if not rule or any(each.name == rule for each in one.rules))

    async def run(
        self, groups: Sequence[RuleGroupConfig], since_ms: int, progress: Callable[[Progress], None]
    ) -> BacktestResult:
        """`progress` is called on the event loop.

        Raises:
            QueryError: it would take too long.
        """
        around, loop = self._surroundings(), asyncio.get_running_loop()
        end_ms = self._clock.now_ms()
        asked = Backtest(groups, end_ms - since_ms, end_ms, around.interval_ms, around.external, around.telling)

        abandoned = Event()

        def report(now: Progress) -> None:
            if abandoned.is_set():
                raise QueryError("nobody waits for this backtest any more")
            loop.call_soon_threadsafe(progress, now)

        async with self._one_at_a_time:
            try:
                return await asyncio.to_thread(lambda: asyncio.run(run_on_store(asked, self._history, report)))
            finally:
                # A thread cannot be stopped from outside: it learns before its next rule that nobody waits.
                abandoned.set()
