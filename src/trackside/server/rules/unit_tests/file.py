"""Unit-test files of rules, under the keys that promtool gave them."""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trackside.exceptions import ConfigError
from trackside.server.rules.config import RuleGroupConfig, Text, Texts, load_rule_file
from trackside.server.schema import DurationMs, Section
from trackside.server.yamlfile import YamlDocument, parse_yaml, section_of


def _some(value: Any) -> Any:
    return value or ()


def _float(value: Any) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a number: {value!r}") from error


def _start_ms(value: Any) -> int:
    """Unix seconds, or a moment as RFC 3339 has it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1_000)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return round(moment.timestamp() * 1_000)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected Unix seconds or a moment such as 2024-01-01T00:00:00Z, found {value!r}") from error


class InputSeries(Section):
    series: Text
    values: Text


class ExpectedAlert(Section):
    exp_labels: Texts = Field(default_factory=dict)
    exp_annotations: Texts = Field(default_factory=dict)


class AlertTest(Section):
    eval_time: DurationMs = 0
    alertname: Text
    exp_alerts: Annotated[tuple[ExpectedAlert, ...], BeforeValidator(_some)] = ()


class ExpectedSample(Section):
    labels: Text = ""
    value: Annotated[float, BeforeValidator(_float)] = 0.0
    histogram: Text = ""


class ExprTest(Section):
    expr: Text
    eval_time: DurationMs = 0
    exp_samples: Annotated[tuple[ExpectedSample, ...], BeforeValidator(_some)] = ()


class RuleTest(Section):
    """One story: series, and what must be true of them at certain times."""

    name: Text = ""
    interval: DurationMs = 0
    """Between two values of an input series; 0: the evaluation interval."""
    input_series: Annotated[tuple[InputSeries, ...], BeforeValidator(_some)] = ()
    alert_rule_test: Annotated[tuple[AlertTest, ...], BeforeValidator(_some)] = ()
    promql_expr_test: Annotated[tuple[ExprTest, ...], BeforeValidator(_some)] = ()
    external_labels: Texts = Field(default_factory=dict)
    external_url: Text = ""
    start_timestamp: Annotated[int, BeforeValidator(_start_ms)] = 0

    @property
    def last_ms(self) -> int:
        """After its start."""
        times_ms = [test.eval_time for test in self.alert_rule_test]
        return max([*times_ms, *(test.eval_time for test in self.promql_expr_test)], default=0)


class RuleTestFile(Section):
    rule_files: Annotated[tuple[Text, ...], BeforeValidator(_some)] = ()
    evaluation_interval: DurationMs = 60_000
    group_eval_order: Annotated[tuple[Text, ...], BeforeValidator(_some)] = ()
    fuzzy_compare: bool = True
    """Two values that are neighbours among all floats are the same. False, as in promtool, when the file says so; else
    true, since the last digit depends on the version of the engine that the expected value was read off from."""
    tests: Annotated[tuple[RuleTest, ...], BeforeValidator(_some)] = ()


def parse_test_file(text: str, file: str) -> tuple[RuleTestFile, YamlDocument]:
    """
    Raises:
        ConfigError: no file of unit tests; with a line for each mistake.
    """
    document = parse_yaml(text, file)
    parsed = section_of(document, RuleTestFile)
    if parsed.evaluation_interval == 0:
        raise document.error(("evaluation_interval",), "expected a duration above 0, such as 1m")
    repeated = {name for name in parsed.group_eval_order if parsed.group_eval_order.count(name) > 1}
    if repeated:
        raise document.error(("group_eval_order",), f"names a group twice: {', '.join(sorted(repeated))}")
    return parsed, document


def rule_groups(parsed: RuleTestFile, document: YamlDocument) -> tuple[tuple[RuleGroupConfig, ...], tuple[str, ...]]:
    """The groups of all rule files in the order in which they are evaluated, and a sentence for each pattern that
    matches no file.

    Raises:
        ConfigError: a rule file cannot be read or is wrong.
    """
    found: dict[Path, None] = {}
    notes = []
    for index, pattern in enumerate(parsed.rule_files):
        paths = sorted(glob.glob(str(Path(document.file).parent / pattern)))  # noqa: PTH207 - it may be absolute
        if not paths:
            notes.append(str(document.error(("rule_files", index), f"no file matches {pattern!r}")))
        found |= dict.fromkeys(Path(path) for path in paths)
    errors: list[str] = []
    groups: list[RuleGroupConfig] = []
    for path in found:
        try:
            groups += load_rule_file(path)
        except ConfigError as error:
            errors.append(str(error))
    if errors:
        raise ConfigError("\n".join(errors))
    return _ordered(groups, parsed.group_eval_order), tuple(notes)


def _ordered(groups: Sequence[RuleGroupConfig], order: Sequence[str]) -> tuple[RuleGroupConfig, ...]:
    """Groups that `order` does not name go together with its first, in the order of the files."""
    places = {name: place for place, name in enumerate(order)}
    return tuple(sorted(groups, key=lambda group: places.get(group.name, 0)))
