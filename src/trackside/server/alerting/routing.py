"""Who is told what, and when: what `route`, `inhibit_rules` and `time_intervals` mean, with all names resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trackside.model.labels import Labels
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.route import Route, takes_all
from trackside.server.alerting.time_intervals import TimeInterval

RESOLVE_TIMEOUT_MS = 300_000


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    root: Route
    receivers: tuple[str, ...]
    """Names, in the order of the file; a receiver may have no way to be told."""
    receiver_labels: Mapping[str, Labels] = field(default_factory=dict)
    """By name; a receiver without labels may be missing. Its name is not among them."""
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: Mapping[str, TimeInterval] = field(default_factory=dict)
    """By name. Every name that a route uses is here."""
    resolve_timeout_ms: int = RESOLVE_TIMEOUT_MS
    """How long a pushed alert without an end is taken to fire."""
    original: str = ""
    """The configuration as YAML, with Alertmanager's keys only and its secrets masked, as `/api/v2/status` shows it."""


_NOBODY = "nobody"
TELLS_NOBODY = RoutingConfig(
    takes_all(_NOBODY),
    (_NOBODY,),
    original=f"route:\n  receiver: {_NOBODY}\nreceivers:\n- name: {_NOBODY}\n",
)
"""Where no route is configured: alerts are still grouped, listed and silenced."""
