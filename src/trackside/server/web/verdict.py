"""The sentence a page opens with: what is wrong, since when, worst first; or that nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus
from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.fingerprint import fingerprint
from trackside.server.web.figures import age, plural, share

# Below this share of failing requests nobody is woken; the table still shows it.
ERRORS_WORTH_SAYING = 0.01
ERRORS_BAD = 0.03
# A target is late after three missed scrapes: one may be lost to a slow moment, two to a restart.
MISSED_SCRAPES = 3

_SEVERE = frozenset({"critical", "page", "error", "high", "disaster"})


class Level(IntEnum):
    """Ordered by urgency; the name is the one of icon and colour."""

    OK = 0
    UNKNOWN = 1
    WARN = 2
    BAD = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say: "`subject` `predicate` since …"."""

    level: Level
    subject: str
    predicate: str
    href: str = ""
    since_ms: int | None = None
    since_before: bool = False
    """Whether it may have begun earlier than what the page looked at."""
    detail: str = ""
    """A second sentence for whoever acts on it."""


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Among equals what has lasted longest; last what nobody can date."""
    return sorted(findings, key=lambda finding: (-finding.level, finding.since_ms is None, finding.since_ms or 0))


def alert_level(alert: Alert) -> Level:
    return severity_level(alert.labels)


def severity_level(labels: Labels) -> Level:
    """Of what fires with these labels."""
    return Level.BAD if labels.get("severity").lower() in _SEVERE else Level.WARN


def alert_text(alert: Alert) -> str:
    """What the author of the rule wrote about it, or the alert's name."""
    return alert.annotations.get("summary") or alert.annotations.get("description") or f"{alert.name} is firing"


def alerts_in(groups: Sequence[RuleGroupStatus], state: AlertState) -> list[Alert]:
    alerts = (alert for group in groups for rule in group.rules for alert in rule.alerts)
    return in_order(alert for alert in alerts if alert.state is state)


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """Most severe first, then the longest."""
    return sorted(alerts, key=lambda alert: (-alert_level(alert), alert.fired_at_ms or alert.active_at_ms))


def alert_finding(alert: Alert, href: str) -> Finding:
    text = alert_text(alert).rstrip(".")
    return Finding(alert_level(alert), "", text, href, alert.fired_at_ms)


def alert_anchor(alert: Alert) -> str:
    return f"alert-{fingerprint(alert.labels)}"


def failing_finding(service: str, ratio: float, since: tuple[int, bool] | None, href: str) -> Finding | None:
    """None while too few requests fail to be worth a sentence."""
    if not ratio >= ERRORS_WORTH_SAYING:
        return None
    since_ms, since_before = since or (None, False)
    level = Level.BAD if ratio >= ERRORS_BAD else Level.WARN
    return Finding(level, service, f"is failing {share(ratio)} of requests", href, since_ms, since_before)


def target_findings(job: str, targets: Sequence[TargetStatus], now_ms: int, href: str) -> list[Finding]:
    """Down, or not scraped for too long. Both about the job as a whole."""
    down = [target for target in targets if target.health is TargetHealth.DOWN]
    late = [target for target in targets if (late_ms(target, now_ms) or 0) > 0]
    findings = []
    if down and len(down) == len(targets):
        reason = down[0].last_error
        findings.append(Finding(Level.BAD, job, "is down", href, detail=reason))
    elif down:
        text = f"has {plural(len(down), 'target')} of {len(targets)} down"
        findings.append(Finding(Level.WARN, job, text, href, detail=down[0].last_error))
    if late:
        oldest_ms = max(now_ms - (target.last_scrape_ms or now_ms) for target in late)
        findings.append(Finding(Level.WARN, job, f"was not scraped for {age(oldest_ms)}", href))
    return findings


def late_ms(target: TargetStatus, now_ms: int) -> int | None:
    """How long the last scrape lies back, if that is too long; None when all is well or nothing was scraped yet."""
    if target.last_scrape_ms is None:
        return None
    passed_ms = now_ms - target.last_scrape_ms
    return passed_ms if passed_ms > MISSED_SCRAPES * target.interval_ms + target.timeout_ms else None


def rule_findings(groups: Sequence[RuleGroupStatus]) -> list[Finding]:
    broken = [rule for group in groups for rule in group.rules if rule.health == "err"]
    if not broken:
        return []
    text = "cannot be evaluated" if len(broken) == 1 else "rules cannot be evaluated"
    subject = broken[0].name if len(broken) == 1 else str(len(broken))
    return [Finding(Level.WARN, subject, text, "/alerts/rules", detail=broken[0].last_error)]


def since_when(steps_ms: Sequence[int], values: Sequence[float | None], threshold: float) -> tuple[int, bool] | None:
    """When the values went over the threshold, where they still are; and whether that was before the first step.

    One missing or low step does not end the episode: a single quiet moment is not a recovery.
    """
    first: int | None = None
    misses = 0
    for i in range(len(steps_ms) - 1, -1, -1):
        value = values[i]
        if value is not None and value >= threshold:
            first, misses = i, 0
        else:
            misses += 1
            if misses > 1:
                break
    if first is None:
        return None
    return int(steps_ms[first]), first == 0
