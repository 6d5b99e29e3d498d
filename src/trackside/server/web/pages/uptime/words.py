"""How checks and heartbeats are told of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trackside.server.probes.heartbeats.book import HeartbeatView
from trackside.server.probes.heartbeats.state import Status, Trouble
from trackside.server.probes.result import Kind, ProbeResult
from trackside.server.probes.source import CheckView
from trackside.server.probes.state import Condition
from trackside.server.web.figures import plural
from trackside.server.web.pages.uptime.timeline import LEVELS
from trackside.server.web.verdict import Finding, Level, worst_first

CONDITION_WORDS: Mapping[Condition, str] = {
    Condition.UP: "up",
    Condition.DOWN: "down",
    Condition.FLAPPING: "flapping",
    Condition.MAINTENANCE: "maintenance",
    Condition.UNKNOWN: "not known yet",
}
TROUBLE_WORDS: Mapping[Trouble, str] = {
    Trouble.NONE: "",
    Trouble.MISSED: "was not heard",
    Trouble.FAILED: "has failed",
    Trouble.TOO_LONG: "runs for too long",
}
STATUS_LEVELS: Mapping[Status, Level] = {
    Status.UP: Level.OK,
    Status.LATE: Level.WARN,
    Status.DOWN: Level.BAD,
    Status.NEW: Level.UNKNOWN,
}
# In the order in which they come to pass.
PHASES: Mapping[Kind, Sequence[str]] = {
    Kind.HTTP: ("resolve", "connect", "tls", "processing", "transfer"),
    Kind.WEBSOCKET: ("resolve", "connect", "tls", "processing", "transfer"),
    Kind.TCP: ("resolve", "connect", "tls", "request"),
    Kind.DNS: ("resolve", "connect", "request"),
}


def word_of_heartbeat(view: HeartbeatView) -> str:
    if view.in_maintenance:
        return "maintenance"
    return TROUBLE_WORDS[view.now.trouble] or view.now.status.value


def level_of_heartbeat(view: HeartbeatView) -> Level:
    return Level.UNKNOWN if view.in_maintenance else STATUS_LEVELS[view.now.status]


def word_of(view: CheckView) -> str:
    if view.state.in_doubt and view.state.condition is Condition.UP:
        return "up, looking again"
    return CONDITION_WORDS[view.state.condition]


def level_of(view: CheckView) -> Level:
    if view.state.in_doubt and view.state.condition is Condition.UP:
        return Level.WARN
    return LEVELS[view.state.condition]


def check_finding(view: CheckView, href: str) -> Finding | None:
    if view.state.condition not in (Condition.DOWN, Condition.FLAPPING):
        return None
    error = view.result.error if view.result is not None else ""
    predicate = "is down" if view.state.condition is Condition.DOWN else "goes up and down"
    return Finding(level_of(view), view.check.name, predicate, href, view.state.since_ms, detail=error)


def heartbeat_finding(view: HeartbeatView, href: str) -> Finding | None:
    if view.now.trouble is Trouble.NONE or view.in_maintenance:
        return None
    since_ms = view.heartbeat.last_end_ms
    return Finding(Level.BAD, view.config.name, TROUBLE_WORDS[view.now.trouble], href, since_ms)


def findings_of(
    checks: Sequence[tuple[CheckView, str]], heartbeats: Sequence[tuple[HeartbeatView, str]], doubt: str
) -> list[Finding]:
    """Worst first; before all others, that it may be this machine."""
    found = [check_finding(view, href) for view, href in checks]
    found += [heartbeat_finding(view, href) for view, href in heartbeats]
    told = worst_first(one for one in found if one is not None)
    return [Finding(Level.BAD, "", doubt[:1].upper() + doubt[1:]), *told] if doubt else told


def calm_line(checks: Sequence[CheckView], heartbeats: Sequence[HeartbeatView]) -> str:
    up = sum(view.state.condition is Condition.UP for view in checks)
    parts = []
    if checks:
        parts.append(f"all {plural(up, 'check')} up" if up == len(checks) else f"{up} of {len(checks)} checks up")
    if heartbeats:
        parts.append(f"{plural(len(heartbeats), 'heartbeat')} as they should be")
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:] + "."


def phases_of(kind: Kind, result: ProbeResult | None) -> list[tuple[str, float]]:
    """Phase and its seconds, those that took place."""
    if result is None:
        return []
    return [(phase, result.phases_s[phase]) for phase in PHASES[kind] if phase in result.phases_s]
