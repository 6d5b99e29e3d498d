"""A whole backtest: all rules of a file over a time that is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert
from trackside.server.backend import MetricsBackend
from trackside.server.backtest.notifications import Telling, would_be_sent
from trackside.server.backtest.order import Placed, in_order, written_names
from trackside.server.backtest.overlay import Overlay
from trackside.server.backtest.replay import AlertReplay, Grid, Query, replay_alerting, replay_recording
from trackside.server.backtest.result import BacktestResult, Episode, Progress, RuleResult
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.rules.alerting_rule import outgoing
from trackside.server.rules.config import AlertingRule, RecordingRule, RuleGroupConfig
from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.templates import ExternalFacts
from trackside.server.storage import Querier

MAX_STEPS = 2_000_000
"""Of all rules together: two weeks of a hundred rules each minute."""
LEAD_STEPS = 2
"""Evaluated before the time that is asked for, besides what `for` needs, so that what began before is known."""


@dataclass(frozen=True, slots=True)
class Backtest:
    groups: Sequence[RuleGroupConfig]
    start_ms: int
    end_ms: int
    interval_ms: int = 60_000
    """Of groups that name none."""
    external: ExternalFacts = field(default_factory=ExternalFacts)
    telling: Telling | None = None


async def run_on_store(
    backtest: Backtest, history: Querier, progress: Callable[[Progress], None] = lambda progress: None
) -> BacktestResult:
    """On a store of our own: recording rules are replayed too, and what reads them sees what they would have written.

    Raises:
        QueryError: more evaluations than one backtest may have.
    """
    written = ScratchStore()
    overlay = Overlay(history, written, written_names(backtest.groups))
    backend = EmbeddedBackend(Engine(overlay), overlay)
    try:
        return await _Run(backtest, backend.query_range, written, progress, records=True).run()
    finally:
        backend.close()


async def run_on_server(
    backtest: Backtest, backend: MetricsBackend, progress: Callable[[Progress], None] = lambda progress: None
) -> BacktestResult:
    """On any server with the Prometheus API: series of recording rules are read as they are stored there.

    Raises:
        QueryError: the server does not answer, or the backtest is too long.
    """
    return await _Run(backtest, backend.query_range, ScratchStore(), progress, records=False).run()


@dataclass(slots=True, eq=False)
class _Run:
    backtest: Backtest
    query: Query
    written: ScratchStore
    report: Callable[[Progress], None]
    records: bool
    transitions: list[tuple[int, Alert]] = field(default_factory=list)

    async def run(self) -> BacktestResult:
        ordered, circular = in_order(self.backtest.groups)
        self._check_length(ordered)
        notes = [f"rule {one.rule.name} reads, round about, what it writes itself" for one in circular]
        if not self.records and any(isinstance(one.rule, RecordingRule) for one in ordered):
            notes.append("series of recording rules are those that the server has stored")
        found: dict[int, RuleResult] = {}
        for done, placed in enumerate(ordered):
            self.report(Progress(done, len(ordered), placed.rule.name))
            result = await self._replayed(placed)
            if result is not None:
                found[placed.place] = result
        self.report(Progress(len(ordered), len(ordered)))
        return self._result(tuple(found[place] for place in sorted(found)), notes)

    def _result(self, rules: tuple[RuleResult, ...], notes: list[str]) -> BacktestResult:
        backtest = self.backtest
        sent = []
        if backtest.telling is not None:
            external = backtest.external.labels
            told = [(at_ms, outgoing(alert, external)) for at_ms, alert in self.transitions]
            sent = [
                each
                for each in would_be_sent(told, backtest.telling, backtest.end_ms)
                if each.at_ms >= backtest.start_ms
            ]
        return BacktestResult(
            backtest.start_ms, backtest.end_ms, rules, tuple(sent), tuple(notes), backtest.telling is not None
        )

    async def _replayed(self, placed: Placed) -> RuleResult | None:
        """None: a recording rule that did its work."""
        rule, group = placed.rule, placed.group
        grid = self._grid(placed)
        if isinstance(rule, RecordingRule):
            try:
                if self.records:
                    await replay_recording(self.query, rule, grid, self.written)
            except QueryError as error:
                return RuleResult(rule.name, group.name, error=str(error))
            return None
        replay = AlertReplay(rule, group.limit, self.backtest.external)
        try:
            await replay_alerting(self.query, rule, grid, replay, self.written)
        except QueryError as error:
            return RuleResult(rule.name, group.name, error=str(error))
        self.transitions += replay.transitions
        return RuleResult(rule.name, group.name, tuple(self._within(replay.episodes)))

    def _within(self, episodes: Sequence[Episode]) -> list[Episode]:
        start_ms = self.backtest.start_ms
        return [each for each in episodes if each.ended_ms is None or each.ended_ms > start_ms]

    def _grid(self, placed: Placed) -> Grid:
        step_ms = placed.group.interval_ms or self.backtest.interval_ms
        wait_ms = placed.rule.for_ms + placed.rule.keep_firing_for_ms if isinstance(placed.rule, AlertingRule) else 0
        lead_steps = -(-wait_ms // step_ms) + LEAD_STEPS
        start_ms = self.backtest.start_ms - self.backtest.start_ms % step_ms - lead_steps * step_ms
        return Grid(start_ms, self.backtest.end_ms, step_ms, placed.group.query_offset_ms or 0)

    def _check_length(self, ordered: Sequence[Placed]) -> None:
        grids = [self._grid(placed) for placed in ordered]
        steps = sum((grid.end_ms - grid.start_ms) // grid.step_ms + 1 for grid in grids)
        if steps > MAX_STEPS:
            raise QueryError(
                f"{steps:,} evaluations; a backtest has at most {MAX_STEPS:,}: take a shorter time, or fewer rules"
            )
