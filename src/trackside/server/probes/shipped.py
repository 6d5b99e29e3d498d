"""The alerting rules that come with the server, in force wherever the configuration has something to watch."""

from __future__ import annotations

from importlib.resources import files

from trackside.model.rules import SHIPPED

RULES_FILE = f"{SHIPPED} uptime.rules.yml"
"""Where they come from, for whoever lists the rules."""


def rules_text() -> str:
    """A rule file like any other: copied into one's own, with `alerts: false`, it can be changed."""
    return (files(__package__) / "rules.yml").read_text(encoding="utf-8")
