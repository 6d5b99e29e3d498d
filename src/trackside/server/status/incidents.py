"""What people may write on the page, and what alerts open on it by themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trackside.exceptions import TracksideError
from trackside.server.status.config import IncidentRuleConfig
from trackside.server.status.model import Incident, IncidentState, Update
from trackside.server.status.spells import Spell

MAX_TITLE, MAX_TEXT = 200, 10_000
IMPACTS = ("minor", "major", "maintenance")
OF_INCIDENTS = (
    IncidentState.INVESTIGATING,
    IncidentState.IDENTIFIED,
    IncidentState.MONITORING,
    IncidentState.RESOLVED,
)
OF_MAINTENANCE = (IncidentState.SCHEDULED, IncidentState.UNDER_WAY, IncidentState.COMPLETED)
RESOLVED_TEXT = "This incident is over."


class StatusError(TracksideError):
    """What was written cannot stand on the page; the text says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """An incident or a maintenance, as a person wrote it."""

    title: str
    text: str
    impact: str
    components: tuple[str, ...]
    starts_ms: int | None = None
    ends_ms: int | None = None
    """Both of maintenance."""


def new_incident(written: Written, known: Sequence[str], author: str, now_ms: int) -> Incident:
    """
    Raises:
        StatusError: something is missing, or makes no sense.
    """
    title = _text(written.title, "title", MAX_TITLE)
    text = _text(written.text, "text", MAX_TEXT)
    if written.impact not in IMPACTS:
        raise StatusError(f"impact: expected one of {', '.join(IMPACTS)}")
    if unknown := [name for name in written.components if name not in known]:
        raise StatusError(f"components: {unknown[0][:80]!r} is none of this page")
    starts_ms, ends_ms, state = now_ms, None, IncidentState.INVESTIGATING
    if written.impact == "maintenance":
        if written.starts_ms is None or written.ends_ms is None or written.starts_ms >= written.ends_ms:
            raise StatusError("maintenance needs a start, and an end after it")
        if written.ends_ms <= now_ms:
            raise StatusError("ends: that is over already")
        starts_ms, ends_ms, state = written.starts_ms, written.ends_ms, IncidentState.SCHEDULED
    update = Update(now_ms, state, text, author)
    return Incident(0, title, written.impact, tuple(written.components), starts_ms, ends_ms, (update,))


def new_update(incident: Incident, state: str, text: str, author: str, now_ms: int) -> Update:
    """
    Raises:
        StatusError: it is not one of its states, or says nothing.
    """
    allowed = OF_MAINTENANCE if incident.is_maintenance else OF_INCIDENTS
    found = next((one for one in allowed if one.value == state), None)
    if found is None:
        raise StatusError(f"state: expected one of {', '.join(one.value for one in allowed)}")
    return Update(now_ms, found, _text(text, "text", MAX_TEXT), author)


def _text(text: str, name: str, most: int) -> str:
    text = "".join(char for char in text.replace("\r\n", "\n") if char.isprintable() or char == "\n").strip()
    if not text:
        raise StatusError(f"{name}: expected some words")
    if len(text) > most:
        raise StatusError(f"{name}: {len(text):,} characters are more than {most:,}")
    return text


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done without a person."""

    opened: tuple[Incident, ...] = ()
    updates: tuple[tuple[Incident, Update], ...] = ()


@dataclass(frozen=True, slots=True)
class Alerts:
    """Those that may open incidents."""

    firing_ms: Mapping[str, int]
    """Name of each that fires, and since when; of several, the longest."""
    ended: Sequence[Spell] = ()
    """Those that have ended since the last time."""


def due(rules: Sequence[IncidentRuleConfig], alerts: Alerts, incidents: Sequence[Incident], now_ms: int) -> Due:
    """What an alert has opened ends with it, unless a person has written in it: then a person says when it is over.
    An alert that came and went since the last time is in the history all the same, with its true times.
    Maintenance begins and ends at its times, unless a person was faster.
    """
    by_alert = {one.alert: one for one in incidents if one.alert and not one.state.is_over}
    opened, updates = [], []
    for rule in rules:
        since_ms = alerts.firing_ms.get(rule.alert)
        ended = [] if rule.alert in by_alert else _of_rule(rule, alerts.ended)
        if ended:
            opened.append(_over(rule, min(one.starts_ms for one in ended), max(one.ends_ms for one in ended)))
        if since_ms is not None and rule.alert not in by_alert and now_ms - since_ms >= rule.after:
            update = Update(now_ms, IncidentState.INVESTIGATING, rule.text)
            opened.append(Incident(0, rule.title, rule.impact, rule.components, since_ms, None, (update,), rule.alert))
    for alert, incident in by_alert.items():
        if alert not in alerts.firing_ms and not incident.is_by_hand:
            ends_ms = max((one.ends_ms for one in alerts.ended if one.alert == alert), default=now_ms)
            at_ms = max(ends_ms, incident.updates[-1].at_ms)
            updates.append((incident, Update(at_ms, IncidentState.RESOLVED, RESOLVED_TEXT)))
    updates += [(one, said) for one in incidents if (said := _of_maintenance(one, now_ms)) is not None]
    return Due(tuple(opened), tuple(updates))


def _of_rule(rule: IncidentRuleConfig, ended: Sequence[Spell]) -> list[Spell]:
    return [one for one in ended if one.alert == rule.alert and one.ends_ms - one.starts_ms >= rule.after]


def _over(rule: IncidentRuleConfig, starts_ms: int, ends_ms: int) -> Incident:
    told = (
        Update(starts_ms, IncidentState.INVESTIGATING, rule.text),
        Update(ends_ms, IncidentState.RESOLVED, RESOLVED_TEXT),
    )
    return Incident(0, rule.title, rule.impact, rule.components, starts_ms, ends_ms, told, rule.alert)


def _of_maintenance(incident: Incident, now_ms: int) -> Update | None:
    if not incident.is_maintenance or incident.state.is_over:
        return None
    if incident.ends_ms is not None and now_ms >= incident.ends_ms:
        return Update(now_ms, IncidentState.COMPLETED, "The maintenance is over.")
    if incident.state is IncidentState.SCHEDULED and now_ms >= incident.starts_ms:
        return Update(now_ms, IncidentState.UNDER_WAY, "The maintenance has begun.")
    return None
