"""Running unit tests of rules: the real evaluation of rules, on series from the file and a clock turned by hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trackside.exceptions import ConfigError, QueryError
from trackside.instruments.registry import Registry
from trackside.model.durations import format_duration
from trackside.model.labels import Labels
from trackside.server.clock import VirtualClock
from trackside.server.promql.engine import Engine
from trackside.server.rules.collector import RuleMetrics
from trackside.server.rules.config import AlertingRule, RuleGroupConfig
from trackside.server.rules.evaluator import Evaluator, RuleState, keyed
from trackside.server.rules.recording import SeriesWriter
from trackside.server.rules.results import vector
from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.templates import ExternalFacts
from trackside.server.rules.unit_tests.comparison import (
    Failure,
    FoundSample,
    alert_texts,
    expected_alerts,
    expected_samples,
    firing_alerts,
    same_samples,
)
from trackside.server.rules.unit_tests.file import (
    AlertTest,
    ExprTest,
    RuleTest,
    RuleTestFile,
    parse_test_file,
    rule_groups,
)
from trackside.server.rules.unit_tests.inputs import Inputs
from trackside.server.series import QueryResult
from trackside.server.yamlfile import YamlDocument, read_file

MAX_EVALUATIONS = 1_000_000
"""Of all groups in one test: a mistyped `eval_time` must not run for days."""
PROMETHEUS_2 = "Prometheus 2 counted the sample at the window's beginning; since 3.0 it does not"


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one item of `tests`."""

    __test__ = False  # for pytest, which takes any class called Test… for its own

    name: str
    line: int
    checks: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class FileResult:
    file: str
    tests: tuple[TestResult, ...] = ()
    errors: tuple[str, ...] = ()
    """Why no test could run."""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors and not any(test.failures for test in self.tests)


def run_test_file(file: Path, only: str = "") -> FileResult:
    """`only`: a regular expression that the name of a test must hold; "" for all."""
    try:
        parsed, document = parse_test_file(read_file(file), str(file))
        groups, notes = rule_groups(parsed, document)
    except ConfigError as error:
        return FileResult(str(file), errors=tuple(str(error).split("\n")))
    wanted = re.compile(only)
    results = tuple(
        _result(_Run(parsed, document, groups, index))
        for index, test in enumerate(parsed.tests)
        if wanted.search(test.name)
    )
    return FileResult(str(file), results, notes=notes)


def _result(run: _Run) -> TestResult:
    """With a hint at what would hold with the windows of Prometheus 2, for which most such files were written."""
    result = asyncio.run(run.run())
    if not result.failures or _is_broken(result):
        return result
    once = asyncio.run(_Run(run.file, run.document, run.configs, run.index, left_closed=True).run())
    if _is_broken(once):
        return result
    still = {(failure.line, failure.what) for failure in once.failures}
    hinted = (
        failure if (failure.line, failure.what) in still else replace(failure, hint=PROMETHEUS_2)
        for failure in result.failures
    )
    return replace(result, failures=tuple(hinted))


def _is_broken(result: TestResult) -> bool:
    return any(failure.reason for failure in result.failures)


@dataclass(slots=True, eq=False)
class _Group:
    evaluator: Evaluator
    rules: list[RuleState]


@dataclass(slots=True, eq=False)
class _Run:
    """One test."""

    file: RuleTestFile
    document: YamlDocument
    configs: Sequence[RuleGroupConfig]
    index: int
    left_closed: bool = False
    """Windows as in Prometheus 2."""
    failures: list[Failure] = field(default_factory=list)
    store: ScratchStore = field(default_factory=ScratchStore)
    inputs: Inputs = field(default_factory=Inputs)
    clock: VirtualClock = field(default_factory=VirtualClock)

    @property
    def test(self) -> RuleTest:
        return self.file.tests[self.index]

    async def run(self) -> TestResult:
        step_ms = self.file.evaluation_interval
        engine = Engine(self.store, subquery_step_ms=step_ms, left_closed=self.left_closed)
        test = self.test
        self._read_inputs()
        self._check_length()
        if not self.failures:
            await self._evaluate(engine)
        if not self.failures or not any(failure.reason for failure in self.failures):
            for place, expr_test in enumerate(test.promql_expr_test):
                self._check_expr(engine, expr_test, self._line("promql_expr_test", place))
        checks = len(test.alert_rule_test) + len(test.promql_expr_test)
        return TestResult(test.name, self._line(), checks, tuple(self.failures))

    def _line(self, *path: str | int) -> int:
        return self.document.line(("tests", self.index, *path))

    def _read_inputs(self) -> None:
        step_ms = self.test.interval or self.file.evaluation_interval
        for place, one in enumerate(self.test.input_series):
            try:
                self.inputs.add(one.series, one.values, self.test.start_timestamp, step_ms)
            except QueryError as error:
                self.failures.append(Failure(self._line("input_series", place), f"series {one.series}", str(error)))

    def _check_length(self) -> None:
        evaluations = (self.test.last_ms // self.file.evaluation_interval + 1) * max(1, len(self.configs))
        if evaluations > MAX_EVALUATIONS:
            reason = f"needs {evaluations:,} evaluations of groups; at most {MAX_EVALUATIONS:,} are done"
            self.failures.append(Failure(self._line(), "eval_time", reason))

    async def _evaluate(self, engine: Engine) -> None:
        async def query(expr: str, time_ms: int) -> QueryResult:
            self.inputs.natives_of(expr, time_ms)
            return engine.instant(expr, time_ms)

        test, interval_ms = self.test, self.file.evaluation_interval
        facts = ExternalFacts(test.external_url.rstrip("/"), Labels.of(test.external_labels))
        metrics = RuleMetrics(Registry())
        groups = [
            self._group(
                config,
                Evaluator(config, config.name, query, self.clock, metrics, facts, config.query_offset_ms or 0),
            )
            for config in self.configs
        ]
        waiting = sorted(enumerate(test.alert_rule_test), key=lambda item: item[1].eval_time)
        for after_ms in range(0, test.last_ms + 1, interval_ms):
            now_ms = self.clock.ms = test.start_timestamp + after_ms
            self.inputs.load(self.store, now_ms)
            for group in groups:
                await self._evaluate_group(group, now_ms, after_ms)
            if self.failures and self.failures[-1].reason:
                return
            # Between two evaluations, alerts are as the one before left them.
            while waiting and waiting[0][1].eval_time < after_ms + interval_ms:
                place, alert_test = waiting.pop(0)
                self._check_alerts(groups, alert_test, self._line("alert_rule_test", place))

    def _group(self, config: RuleGroupConfig, evaluator: Evaluator) -> _Group:
        states = [
            RuleState(rule, key, SeriesWriter(self.store, f"rules/{config.name}")) for rule, key in keyed(config.rules)
        ]
        return _Group(evaluator, states)

    async def _evaluate_group(self, group: _Group, now_ms: int, after_ms: int) -> None:
        for state in group.rules:
            await group.evaluator.evaluate(state, now_ms)
            if state.health == "err":
                what = f"rule {state.rule.name} at {format_duration(after_ms)}"
                self.failures.append(Failure(self._line(), what, state.error))

    def _check_alerts(self, groups: Sequence[_Group], test: AlertTest, line: int) -> None:
        alerts = [
            alert
            for group in groups
            for state in group.rules
            if isinstance(state.rule, AlertingRule) and state.rule.name == test.alertname
            for alert in state.alerts.values()
        ]
        expected, found = expected_alerts(test), firing_alerts(alerts)
        if expected != found:
            what = f"alert {test.alertname} at {format_duration(test.eval_time)}"
            known = {rule.name for config in self.configs for rule in config.rules if isinstance(rule, AlertingRule)}
            if test.alertname not in known:
                what += " (no rule has this name)"
            self.failures.append(
                Failure(line, what, expected=alert_texts(expected), found=alert_texts(found) or ("nothing",))
            )

    def _check_expr(self, engine: Engine, test: ExprTest, line: int) -> None:
        what = f"{' '.join(test.expr.split())} at {format_duration(test.eval_time)}"
        time_ms = self.test.start_timestamp + test.eval_time
        try:
            natives = self.inputs.natives_of(test.expr, time_ms)
            floats = vector(engine.instant(test.expr, time_ms))
            found = [FoundSample(sample.labels, sample.value) for sample in floats if sample.labels not in natives]
            found += [FoundSample(labels, native=native) for labels, native in natives.items()]
            expected = expected_samples(test)
        except QueryError as error:
            marked = error.marked()
            self.failures.append(Failure(line, what, f"{error}\n{marked}" if marked else str(error)))
            return
        if not same_samples(expected, found, fuzzy=self.file.fuzzy_compare):
            self.failures.append(
                Failure(line, what, expected=_texts(expected) or ("nothing",), found=_texts(found) or ("nothing",))
            )


def _texts(samples: Sequence[FoundSample]) -> tuple[str, ...]:
    return tuple(sorted(str(sample) for sample in samples))
