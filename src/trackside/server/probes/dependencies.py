"""Which alert on a check is only the consequence of another one: `depends_on`, as what inhibit rules are made of."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.model.matchers import Matcher, MatchOp
from trackside.server.probes.config import UptimeConfig, needed


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alert of `source` fires, those of `target` are not told."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]


def inhibitions(config: UptimeConfig) -> tuple[Inhibition, ...]:
    """One for each check and each that it depends on, through others too: those in between may be told of late."""
    needs = {check.name: check.depends_on for check in config.checks}
    return tuple(_inhibition(check, one) for check in needs for one in needed(check, needs))


def _inhibition(check: str, other: str) -> Inhibition:
    return Inhibition(
        f"{check} depends on {other}",
        (Matcher("alertname", MatchOp.EQUAL, "CheckDown"), Matcher("check", MatchOp.EQUAL, other)),
        (Matcher("alertname", MatchOp.REGEX, "CheckDown|CheckFlapping"), Matcher("check", MatchOp.EQUAL, check)),
    )
