"""Who is told of an alert and when next; or why nobody is: what a person asks first at night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trackside.model.alerts import Alert, AlertState
from trackside.model.durations import format_duration
from trackside.model.labels import Labels
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.route import Route
from trackside.server.alerting.sender import Sender
from trackside.server.fingerprint import fingerprint
from trackside.server.web.pages.alerts.places import ALERTS, SILENCES


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nobody is told."""

    text: str
    """Such as "silenced by anna"; the end of the reason follows it."""
    until_ms: int | None = None
    detail: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One receiver of an alert."""

    receiver: str
    kinds: tuple[str, ...]
    """How it is told: "slack", "email"; () where it has no way to be told."""
    route: str
    """As Alertmanager writes it: `{}/{team="a"}`."""
    group: Labels
    """What the alert shares with those that are told with it."""
    next_ms: int | None = None
    """When the next notification goes out, if nothing changes before; None: none will."""
    because: str = ""
    told_ms: int | None = None
    """When the last one arrived."""
    trouble: str = ""
    """Why the last one did not arrive yet."""


@dataclass(frozen=True, slots=True)
class Telling:
    reasons: tuple[Reason, ...]
    """Any of them is enough."""
    ways: tuple[Way, ...]

    @property
    def next_ms(self) -> int | None:
        return min((way.next_ms for way in self.ways if way.next_ms is not None), default=None)

    @property
    def word(self) -> str:
        """ "" for an alert that is told."""
        return self.reasons[0].text.split(" ")[0] if self.reasons else ""

    @property
    def is_meant(self) -> bool:
        """Whether nobody is told because somebody wanted it so, or another alert explains this one."""
        return self.word in ("silenced", "inhibited", "muted")


NOBODY_ASKED = Telling((Reason("the server has only just started"),), ())


def telling_of(dispatcher: Dispatcher | None, alert: Alert, for_ms: int, now_ms: int) -> Telling:
    """`for_ms`: how long an alert that is pending must hold before it fires."""
    if dispatcher is None:
        return NOBODY_ASKED
    routes = dispatcher.views.grouping.routes(alert.labels)
    reasons = list(_reasons(dispatcher, alert, routes, now_ms))
    ways = [_way(dispatcher, alert, route, for_ms, now_ms) for route in routes]
    if not reasons and not any(way.kinds for way in ways):
        named = ", ".join(dict.fromkeys(way.receiver for way in ways))
        reasons.append(Reason(f"its receiver, {named}, has no way to be told"))
    if reasons:
        ways = [replace(way, next_ms=None, because="") for way in ways]
    return Telling(tuple(reasons), tuple(ways))


def _reasons(dispatcher: Dispatcher, alert: Alert, routes: Sequence[Route], now_ms: int) -> Iterator[Reason]:
    muting = dispatcher.views.muting
    mute = muting.of(alert.labels, now_ms)
    for silence_id in mute.silenced_by:
        silence = dispatcher.silences.get(silence_id)
        if silence is not None:
            until_ms = silence.ends_ms
            if silence.recurrence:
                until_ms = min(until_ms, silence.recurrence.interval.next_change(now_ms) or until_ms)
            who = f"silenced by {silence.created_by}" if silence.created_by else "silenced"
            yield Reason(who, until_ms, silence.comment, f"{SILENCES}#silence-{silence_id}")
    if mute.inhibited_by is not None:
        source = mute.inhibited_by
        name = source.get("alertname") or str(source)
        href = f"{ALERTS}/{fingerprint(source)}"
        yield Reason(f"inhibited by {name}, which fires and explains it", href=href)
    if dispatcher.hands_over:
        yield Reason("from here, since an Alertmanager tells people")
    muted = [muting.muted_by(route, now_ms) for route in routes]
    if routes and all(muted):
        yield _out_of_hours(dispatcher, routes, muted, now_ms)


def _out_of_hours(
    dispatcher: Dispatcher, routes: Sequence[Route], muted: Sequence[tuple[str, ...]], now_ms: int
) -> Reason:
    names = tuple(dict.fromkeys(name for some in muted for name in some))
    intervals = dispatcher.views.muting.intervals
    ends = [intervals[name].next_change(now_ms) for name in names if name in intervals]
    until_ms = min((end for end in ends if end is not None), default=None)
    outside = all(set(some) <= set(route.active_time_intervals) for some, route in zip(muted, routes, strict=True))
    where = "outside" if outside else "within"
    return Reason(f"muted {where} the time interval {' and '.join(names)}", until_ms)


def _way(dispatcher: Dispatcher, alert: Alert, route: Route, for_ms: int, now_ms: int) -> Way:
    senders = dispatcher.senders.of(route.receiver)
    kinds = tuple(dict.fromkeys(sender.integration.kind for sender in senders))
    way = Way(route.receiver, kinds, route.key, route.group_labels(alert.labels))
    if not kinds:
        return way
    if alert.state is AlertState.PENDING:
        at_ms = alert.active_at_ms + for_ms + route.group_wait_ms
        wait = _wait_text(route.group_wait_ms)
        return replace(way, next_ms=max(at_ms, now_ms), because=f"it fires if it stays true{wait}")
    muted = dispatcher.views.muting.muted_by(route, now_ms)
    if muted:
        return replace(way, because=f"muted by {' and '.join(muted)}")
    group = next((one for one in dispatcher.views.grouping.holding(alert.labels) if _is_of(one, route)), None)
    if group is None:
        return replace(way, next_ms=now_ms, because="it is about to be grouped")
    return min((_by(sender, alert, group, way) for sender in senders), key=lambda one: one.next_ms or 0)


def _is_of(group: AlertGroup, route: Route) -> bool:
    return group.receiver == route.receiver and group.route_id == route.route_id


def _by(sender: Sender, alert: Alert, group: AlertGroup, way: Way) -> Way:
    """What one integration does next; the soonest of a receiver's counts."""
    told_ms = sender.told_at_ms(group.group_id)
    waits = sender.waits(group.group_id)
    if waits is not None:
        because = f"{sender.integration.kind} did not take it yet, after {waits.attempts} attempts"
        if not waits.attempts:
            because = "it is on its way"
        at_ms, trouble = waits.next_try_ms, waits.last_error
    elif told_ms is None or alert.labels not in sender.needs(group.group_id):
        at_ms, trouble = group.next_flush_ms, ""
        because = f"it is news, and news of this group goes out every {format_duration(group.group_interval_ms)}"
        if not group.flushed:
            because = f"it is new{_wait_text(group.group_wait_ms)}"
    else:
        at_ms, trouble = _repeat_ms(group, told_ms), ""
        because = f"it is repeated every {format_duration(group.repeat_interval_ms)} while it fires"
    return replace(way, next_ms=at_ms, because=because, told_ms=told_ms, trouble=trouble)


def _repeat_ms(group: AlertGroup, told_ms: int) -> int:
    """The first flush at which the last message is as old as the repeat interval."""
    missing_ms = told_ms + group.repeat_interval_ms - group.next_flush_ms
    rounds = max(0, -(-missing_ms // max(1, group.group_interval_ms)))
    return group.next_flush_ms + rounds * group.group_interval_ms


def _wait_text(wait_ms: int) -> str:
    return f", and waits {format_duration(wait_ms)} for others of its group" if wait_ms else ""
