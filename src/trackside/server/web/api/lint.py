"""`/api/v1/rules/lint`: which of the running rules do not mean what they say, as data."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import ConfigError
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Subject, as_json
from trackside.server.lint.gathering import gather
from trackside.server.lint.subjects import running_subjects, subjects_of
from trackside.server.rules.config import groups_in
from trackside.server.runbooks.findings import lint_all
from trackside.server.runbooks.shelf import read_shelf
from trackside.server.web.api.answers import answering, success
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError, form_of
from trackside.server.web.rule_facts import routed_by, scrape_interval_ms
from trackside.server.yamlfile import parse_yaml


@dataclass(frozen=True, slots=True)
class LintApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/v1/rules/lint", answering(self.findings), methods=["GET", "POST"])]

    async def findings(self, request: Request) -> Response:
        """Of the running rules; or of `rules`, the text of a rule file that is not yet in force."""
        console = self.console
        texts = Parameters(await form_of(request), console.clock.now_ms()).texts("rules")
        subjects = _subjects(texts[0]) if texts else running_subjects(console.rule_groups())
        stored = await gather(console.backend, console.metadata(), subjects, console.clock.now_ms())
        shelf = await asyncio.to_thread(read_shelf, sorted({subject.file for subject in subjects}))
        facts = Facts(stored, scrape_interval_ms=scrape_interval_ms(console), routed_labels=routed_by(console))
        found = lint_all(subjects, facts, shelf)
        return success({"findings": [as_json(finding) for finding in found]})


def _subjects(text: str) -> list[Subject]:
    try:
        document = parse_yaml(text, "rules")
        return subjects_of(groups_in(document), document)
    except ConfigError as error:
        raise ParameterError("rules", str(error)) from error
