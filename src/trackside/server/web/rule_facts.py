"""What stands beside the running rules: their runbooks, the routes of their alerts, how often there are samples."""

from __future__ import annotations

import asyncio

from trackside.exceptions import ConfigError
from trackside.server.lint.checks.routing import routed_labels
from trackside.server.lint.facts import DEFAULT_SCRAPE_INTERVAL_MS
from trackside.server.runbooks.shelf import Shelf, read_shelf
from trackside.server.web.console import Console
from trackside.server.yamlfile import parse_yaml


async def shelf_of(console: Console) -> Shelf:
    files = sorted({group.file for group in console.rule_groups()})
    return await asyncio.to_thread(read_shelf, files)


def scrape_interval_ms(console: Console) -> int:
    """The shortest: what a rule reads may come as often as that, and a finding must not be wrong."""
    return min((target.interval_ms for target in console.targets()), default=DEFAULT_SCRAPE_INTERVAL_MS)


def routed_by(console: Console) -> frozenset[str]:
    """Labels that some route chooses its alerts by."""
    try:
        return routed_labels(parse_yaml(console.config_text(), "configuration").tree)
    except ConfigError:
        # With its secrets masked the text may be no YAML any more.
        return frozenset()
