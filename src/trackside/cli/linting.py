"""The linter for `trackside check`: all rules of all files at once, with what is stored where that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trackside.cli.history import opened
from trackside.exceptions import ConfigError, QueryError
from trackside.server.clock import SystemClock
from trackside.server.config import ServerConfig
from trackside.server.lint.checks.routing import lint_routing, routed_labels
from trackside.server.lint.facts import Facts, Stored
from trackside.server.lint.finding import Finding, Level, Subject
from trackside.server.lint.gathering import gather
from trackside.server.lint.subjects import subjects_of
from trackside.server.rules.config import RuleGroupConfig
from trackside.server.runbooks.findings import lint_all
from trackside.server.runbooks.shelf import read_shelf
from trackside.server.yamlfile import YamlDocument, parse_yaml, read_file


@dataclass(slots=True)
class Linting:
    """What is to be looked at, collected file by file."""

    subjects: list[Subject] = field(default_factory=list)
    routings: list[tuple[YamlDocument, tuple[str, ...]]] = field(default_factory=list)
    """Configurations, each with the texts of its template files."""
    scrape_interval_ms: int | None = None
    _seen: set[str] = field(default_factory=set)

    def add_rules(self, document: YamlDocument, groups: Iterable[RuleGroupConfig], interval_ms: int = 0) -> None:
        """A file of rules and what it holds. `interval_ms`: of groups that name none; 0: not known."""
        file = str(Path(document.file).resolve())
        if file not in self._seen:
            self._seen.add(file)
            self.subjects += subjects_of(groups, document, interval_ms)

    def add_configuration(self, document: YamlDocument, config: ServerConfig) -> None:
        """With the rule files that it names.

        Raises:
            ConfigError: one of them is no longer what it was.
        """
        general, groups = config.root.global_, config.rule_groups
        self.scrape_interval_ms = general.scrape_interval
        self.routings.append((document, tuple(config.templates.values())))
        for file in dict.fromkeys(group.file for group in groups):
            # Groups of our own stand in no file.
            if Path(file).is_file():
                own = [group for group in groups if group.file == file]
                self.add_rules(parse_yaml(read_file(Path(file)), file), own, general.evaluation_interval)

    def findings(self, place: str = "") -> list[Finding]:
        """`place`: where metrics are stored; "" for nowhere.

        Raises:
            ConfigError: it cannot be asked.
        """
        stored = asyncio.run(self._stored(place)) if place else None
        trees: list[Any] = [document.tree for document, _ in self.routings]
        facts = Facts(stored, routed_labels=frozenset[str]().union(*map(routed_labels, trees)))
        if self.scrape_interval_ms is not None:
            facts = replace(facts, scrape_interval_ms=self.scrape_interval_ms)
        shelf = read_shelf(sorted({subject.file for subject in self.subjects}))
        found = lint_all(self.subjects, facts, shelf)
        for document, templates in self.routings:
            found += lint_routing(document, facts, templates)
        return found

    async def _stored(self, place: str) -> Stored:
        try:
            async with opened(place) as history:
                return await gather(history.backend, history.metadata, self.subjects, SystemClock().now_ms())
        except QueryError as error:
            raise ConfigError(f"--data {place}: {error}") from error


def lines_of(finding: Finding) -> list[str]:
    """As a terminal shows it."""
    name = f"{finding.rule}: " if finding.rule else ""
    lines = [f"{finding.file}:{finding.line}: {finding.level.value}: {name}{finding.title} ({finding.check})"]
    lines.append(f"    {finding.sentence}")
    if finding.start is not None:
        marked = QueryError("", query=finding.expr, start=finding.start, end=finding.end).marked()
        lines += [f"      {line}" for line in marked.split("\n")]
    if finding.corrected:
        lines.append(f"    better: {finding.corrected}")
    return lines


def is_problem(finding: Finding) -> bool:
    """Whether `trackside check` ends with 1 for it. Not for what is said of routes: amtool takes such files as good."""
    return bool(finding.rule) and finding.level is not Level.INFO
