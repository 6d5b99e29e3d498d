"""What the linter says of the running rules, remembered for a while: it looks through a week of series for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from trackside.exceptions import TracksideError
from trackside.model.rules import SHIPPED
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Finding, Subject
from trackside.server.lint.gathering import gather
from trackside.server.lint.subjects import running_subjects
from trackside.server.runbooks.findings import lint_all
from trackside.server.web.console import Console
from trackside.server.web.rule_facts import routed_by, scrape_interval_ms, shelf_of

FRESH_MS = 300_000


@dataclass(frozen=True, slots=True)
class Linted:
    findings: tuple[Finding, ...] = ()
    at_ms: int = 0
    failure: str = ""
    """Why the store could not be asked; what needs no store is said all the same."""

    def of(self, rule: str, file: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.rule == rule and finding.file in ("", file)]

    def elsewhere(self) -> list[Finding]:
        """About files of runbooks and such, not about a rule."""
        return [finding for finding in self.findings if not finding.rule]


@dataclass(slots=True)
class LintDesk:
    console: Console
    _known: Linted | None = None
    _about: tuple[tuple[str, str], ...] = ()
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def findings(self) -> Linted:
        """Asked anew when the rules have changed, or after five minutes."""
        groups = self.console.rule_groups()
        about = tuple((group.file, rule.query) for group in groups for rule in group.rules)
        async with self._asking:
            now_ms = self.console.clock.now_ms()
            known = self._known
            if known is None or about != self._about or not 0 <= now_ms - known.at_ms < FRESH_MS:
                known = self._known = await _linted(self.console, running_subjects(groups), now_ms)
                self._about = about
            return known


async def _linted(console: Console, subjects: Sequence[Subject], now_ms: int) -> Linted:
    failure, stored = "", None
    try:
        stored = await gather(console.backend, console.metadata(), subjects, now_ms)
    except (TracksideError, OSError) as error:
        failure = str(error)
    shelf = await shelf_of(console)
    facts = Facts(stored, scrape_interval_ms=scrape_interval_ms(console), routed_labels=routed_by(console))
    found = lint_all(subjects, facts, shelf)
    # What comes with the server is tested with it, for all that it might find; nobody could change it here.
    return Linted(tuple(finding for finding in found if not finding.file.startswith(SHIPPED)), now_ms, failure)
