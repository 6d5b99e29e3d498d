"""Rule files: Prometheus' groups of recording and alerting rules, checked to the last expression and template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trackside.exceptions import ConfigError, QueryError, TemplateError
from trackside.server.promql.parser import parse
from trackside.server.rules import no_data
from trackside.server.rules.no_data import NoData
from trackside.server.rules.templates import compiled
from trackside.server.schema import DurationMs, Section
from trackside.server.yamlfile import YamlDocument, parse_yaml, read_file, section_of

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Pairs = tuple[tuple[str, str], ...]
"""Names and texts, sorted by name. Not `Labels`: an empty value is meant, it removes the label from the result."""


@dataclass(frozen=True, slots=True)
class RecordingRule:
    name: str
    """Of the series it writes."""
    expr: str
    labels: Pairs = ()


@dataclass(frozen=True, slots=True)
class AlertingRule:
    name: str
    expr: str
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Pairs = ()
    """Templates."""
    annotations: Pairs = ()
    """Templates."""

    @property
    def no_data(self) -> NoData:
        return NoData(dict(self.annotations).get(no_data.ANNOTATION, "resolve"))


Rule = RecordingRule | AlertingRule


@dataclass(frozen=True, slots=True)
class RuleGroupConfig:
    """Rules that are evaluated one after the other, at the same moment."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    interval_ms: int | None = None
    """None: the server's evaluation interval."""
    limit: int = 0
    """Most alerts of one rule, or most series a recording rule may write; 0: any number."""
    query_offset_ms: int | None = None
    """None: the server's `rule_query_offset`."""


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A YAML number is meant as text here: `expr: 1`, `severity: 2`.
    return str(value) if isinstance(value, int | float) else value


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[dict[str, Text], BeforeValidator(_nothing_is_empty)]


class RuleSection(Section):
    record: Text | None = None
    alert: Text | None = None
    expr: Text
    for_: DurationMs | None = Field(default=None, alias="for")
    keep_firing_for: DurationMs | None = None
    labels: Texts = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)


class GroupSection(Section):
    name: Text
    interval: DurationMs | None = None
    limit: int = Field(default=0, ge=0)
    query_offset: DurationMs | None = None
    labels: Texts = Field(default_factory=dict)
    rules: Annotated[tuple[RuleSection, ...], BeforeValidator(lambda value: value or ())] = ()


class RuleFile(Section):
    groups: Annotated[tuple[GroupSection, ...], BeforeValidator(lambda value: value or ())] = ()


def load_rule_file(file: Path) -> tuple[RuleGroupConfig, ...]:
    """
    Raises:
        ConfigError: it cannot be read, or `parse_rule_file` refuses it.
    """
    return parse_rule_file(read_file(file), str(file))


def parse_rule_file(text: str, file: str) -> tuple[RuleGroupConfig, ...]:
    """
    Raises:
        ConfigError: it is no YAML, or `groups_in` refuses it.
    """
    return groups_in(parse_yaml(text, file))


def groups_in(document: YamlDocument) -> tuple[RuleGroupConfig, ...]:
    """
    Raises:
        ConfigError: with one line for each mistake: file, line, key, what is wrong and what was expected; of an
            expression also the part that is wrong, marked.
    """
    sections = section_of(document, RuleFile).groups
    errors = [str(error) for index, group in enumerate(sections) for error in _group_errors(document, group, index)]
    names: set[str] = set()
    for index, group in enumerate(sections):
        if group.name in names:
            reason = f"a group named {group.name!r} exists already in this file"
            errors.append(str(document.error(("groups", index, "name"), reason)))
        names.add(group.name)
    if errors:
        raise ConfigError("\n".join(errors))
    return tuple(_group(group, document.file) for group in sections)


def duplicate_rules(groups: Sequence[RuleGroupConfig]) -> list[str]:
    """A sentence for each rule that writes or raises what one before it does too: one of the two is a mistake, though
    Prometheus loads such files."""
    seen: dict[tuple[str, Pairs, type], str] = {}
    found = []
    for group in groups:
        for rule in group.rules:
            key = (rule.name, rule.labels, type(rule))
            here = f"{group.file}, group {group.name!r}"
            if key in seen:
                labels = "".join(f' {name}="{text}"' for name, text in rule.labels)
                found.append(f"{here}: rule {rule.name!r}{labels} exists already in {seen[key]}")
            seen.setdefault(key, here)
    return found


def _group(section: GroupSection, file: str) -> RuleGroupConfig:
    rules = tuple(_rule(rule, section.labels) for rule in section.rules)
    return RuleGroupConfig(section.name, file, rules, section.interval, section.limit, section.query_offset)


def _rule(section: RuleSection, group_labels: dict[str, str]) -> Rule:
    labels = _pairs({**group_labels, **section.labels})
    expr = section.expr.strip()
    if section.record is not None:
        return RecordingRule(section.record, expr, labels)
    annotations = _pairs(section.annotations)
    return AlertingRule(section.alert or "", expr, section.for_ or 0, section.keep_firing_for or 0, labels, annotations)


def _pairs(texts: dict[str, str]) -> Pairs:
    return tuple(sorted(texts.items()))


def _group_errors(document: YamlDocument, group: GroupSection, index: int) -> Iterator[ConfigError]:
    path = ("groups", index)
    if not group.name:
        yield document.error((*path, "name"), "is required, and empty")
    if group.interval == 0:
        yield document.error((*path, "interval"), "expected a duration above 0, such as 1m")
    for name, text in group.labels.items():
        yield from _label_errors(document, (*path, "labels", name), name, text)
    for at, rule in enumerate(group.rules):
        yield from _rule_errors(document, rule, (*path, "rules", at))


def _rule_errors(document: YamlDocument, rule: RuleSection, path: tuple[str | int, ...]) -> Iterator[ConfigError]:
    if not rule.record and not rule.alert:
        yield document.error(path, "expected `record` or `alert`")
    elif rule.record is not None and rule.alert is not None:
        yield document.error(path, "`record` and `alert` exclude each other")
    elif rule.record is not None:
        yield from _recording_errors(document, rule, path)
    yield from _expression_errors(document, rule, path)
    for name, text in rule.labels.items():
        yield from _label_errors(document, (*path, "labels", name), name, text)
    for name, text in rule.annotations.items():
        where = (*path, "annotations", name)
        if not _LABEL_NAME.fullmatch(name):
            yield document.error(where, f"not a name: {name!r}; expected letters, digits and _")
        yield from _template_errors(document, where, text)
    if no_data.ANNOTATION in rule.annotations:
        yield from _no_data_errors(document, rule, (*path, "annotations", no_data.ANNOTATION))


def _no_data_errors(document: YamlDocument, rule: RuleSection, path: tuple[str | int, ...]) -> Iterator[ConfigError]:
    value = rule.annotations[no_data.ANNOTATION]
    if value not in (known := [each.value for each in NoData]):
        yield document.error(path, f"expected one of {', '.join(known)}, found {value!r}")
        return
    try:
        decided = value != NoData.RESOLVE.value and no_data.decides_itself(rule.expr)
    except QueryError:
        return  # said already, of the expression
    if decided:
        yield document.error(path, "the expression says with absent() what missing data means; remove one of the two")


def _recording_errors(document: YamlDocument, rule: RuleSection, path: tuple[str | int, ...]) -> Iterator[ConfigError]:
    if not _METRIC_NAME.fullmatch(rule.record or ""):
        reason = f"not a metric name: {rule.record!r}; expected letters, digits, _ and :"
        yield document.error((*path, "record"), reason)
    for key, value in (
        ("for", rule.for_),
        ("keep_firing_for", rule.keep_firing_for),
        ("annotations", rule.annotations or None),
    ):
        if value is not None:
            yield document.error((*path, key), "belongs to an alerting rule; this one records")


def _expression_errors(document: YamlDocument, rule: RuleSection, path: tuple[str | int, ...]) -> Iterator[ConfigError]:
    expr = rule.expr.strip()
    if not expr:
        yield document.error((*path, "expr"), "is required, and empty")
        return
    try:
        parse(expr)
    except QueryError as error:
        marked = error.marked()
        indented = "".join(f"\n    {line}" for line in marked.split("\n")) if marked else ""
        yield document.error((*path, "expr"), f"{error}{indented}")


def _label_errors(document: YamlDocument, path: tuple[str | int, ...], name: str, text: str) -> Iterator[ConfigError]:
    if not _LABEL_NAME.fullmatch(name) or name == "__name__":
        yield document.error(path, f"not a label name that a rule may set: {name!r}; expected letters, digits and _")
    yield from _template_errors(document, path, text)


def _template_errors(document: YamlDocument, path: tuple[str | int, ...], text: str) -> Iterator[ConfigError]:
    try:
        compiled(text)
    except TemplateError as error:
        where = f"line {error.line}, column {error.column} of the text"
        yield document.error(path, f"this template does not parse: {error.reason} ({where})")
