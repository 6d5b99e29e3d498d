"""From alerts to notifications: who has to be told what, and when, written down before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState, Notification, NotificationRecord
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily
from trackside.server.alerting import refusal_alert, store, trial
from trackside.server.alerting.collector import AlertingMetrics, state_families
from trackside.server.alerting.commits import Commits
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.grouping import Grouping
from trackside.server.alerting.inhibition import Inhibition
from trackside.server.alerting.intake import Intake, Pushed
from trackside.server.alerting.matchers import Syntax
from trackside.server.alerting.muting import Muting
from trackside.server.alerting.pushes import store as alert_store
from trackside.server.alerting.pushes.lease import Push
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.rows import all_of
from trackside.server.alerting.sender import Decision, Sender, SenderPorts, Shown
from trackside.server.alerting.senders import Receivers, Senders
from trackside.server.alerting.silences.register import Silences
from trackside.server.alerting.silences.silence import SilenceLimits
from trackside.server.alerting.store import Outgoing
from trackside.server.alerting.views import Views
from trackside.server.clock import Clock
from trackside.server.db.database import Database, Work
from trackside.server.fingerprint import fingerprints

ALIVE_MS = 1_000
FORGET_MS = 300_000
TOGETHER_MS = 10
"""Groups that are due within it after each other are told in one tick."""
GROUPS_A_MS = 200
"""For so many of them a tick is a millisecond further from the one before: each goes through all."""
FLUSHED_AT_ONCE = 100
"""Groups. While these are written down and sent, the next ones are decided, and the rest takes no memory yet."""


@dataclass(frozen=True, slots=True)
class AlertingPorts:
    db: Database
    clock: Clock
    registry: Registry
    external_url: str


@dataclass(frozen=True, slots=True)
class AlertingOptions:
    """What is given on the command line."""

    silences: SilenceLimits = field(default_factory=SilenceLimits)
    alerts_per_name: int = 0
    """Pushed alerts of one `alertname`; 0: as many as come."""
    receiver_names_in_metrics: bool = False
    syntax: Syntax = Syntax.FALLBACK
    """How matchers are read."""


class Dispatcher:
    """Takes alerts as they are, and tells each receiver of each change once.

    To be woken by `tick`, several times a second: it decides what is due, writes it down, and sends in the background.
    """

    def __init__(
        self, routing: RoutingConfig, receivers: Receivers, ports: AlertingPorts, options: AlertingOptions | None = None
    ) -> None:
        self.options = options = options or AlertingOptions()
        self.routing = routing
        self._db, self._clock = ports.db, ports.clock
        self.metrics = AlertingMetrics(ports.registry, with_receiver_names=options.receiver_names_in_metrics)
        self._commits = Commits(ports.db, self.metrics)
        ports.db.write(alert_store.upgrade).result()
        ports.db.create(store.SCHEMA, alert_store.SCHEMA)
        ports.db.add_columns(store.ADDED)
        self.silences = Silences(ports.db, options.silences)
        self._grouping = Grouping(routing.root)
        self._intake = Intake(routing.resolve_timeout_ms, options.alerts_per_name)
        self._muting = Muting(self.silences, Inhibition(routing.inhibit_rules), routing.time_intervals)
        self._touched: set[str] = set()
        """Ids of the groups of which something may be let go."""
        self.senders = Senders(
            SenderPorts(
                ports.clock,
                self.metrics,
                self._commits.durably,
                self._shown,
                self._touched.add,
                self._refused,
                ports.external_url,
            )
        )
        self.hands_over = False
        """Whether somebody else tells people of the alerts of our rules."""
        self.reload_succeeded = True
        """Whether the configuration that was read last is in force."""
        ports.registry.add_collector(self._families)
        self._next_alive_ms = self._next_forget_ms = 0
        self.senders.configure(receivers)
        self._restore(ports.external_url)

    @property
    def views(self) -> Views:
        """What is known now, for the pages and the API."""
        return Views(self._intake, self._grouping, self._muting)

    def apply(self, routing: RoutingConfig, receivers: Receivers, *, hands_over: bool = False) -> None:
        """Go on with another configuration. Alerts that now go elsewhere are announced there; where they were
        announced before, only their end is told."""
        now_ms = self._clock.now_ms()
        self.routing, self.hands_over = routing, hands_over
        self._intake.resolve_timeout_ms = routing.resolve_timeout_ms
        self._grouping.configure(routing.root, now_ms)
        firing = list(self._intake.firing(now_ms))
        inhibition = Inhibition(routing.inhibit_rules, [known.alert.labels for known in firing])
        self._muting = Muting(self.silences, inhibition, routing.time_intervals)
        works = self.senders.configure(receivers)
        works += [self._drop(group) for group in list(self._groups.values()) if group.receiver not in receivers]
        for known in firing:
            alert = known.alert
            if not refusal_alert.is_one(alert.labels):
                self._take(alert, now_ms, hands_over=known.is_own and self.hands_over)
            elif self.senders.named(refusal_alert.sender_name(alert.labels)) is None:
                self.offer([refusal_alert.ended(alert, now_ms)], now_ms)
        if works:
            self._db.write(all_of(works))

    def offer(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """The alerts of our own rules that fire or have resolved, as often as one likes: the same news twice is no
        news."""
        for alert in alerts:
            if alert.state is not AlertState.PENDING:
                self._intake.offer(alert, now_ms)
                self._take(alert, now_ms, hands_over=self.hands_over)
        self.metrics.groups.set(len(self._groups))

    async def push(self, pushes: Sequence[Push], now_ms: int) -> list[str]:
        """Alerts that somebody sent. When this returns, a crash does not lose them.

        What is wrong with those that were not taken, a sentence each.
        """
        refused: list[str] = []
        taken: list[Pushed] = []
        for push in pushes:
            try:
                found = self._intake.push(push, now_ms)
            except ValueError as error:
                self.metrics.received_invalid()
                refused.append(f"{push.labels}: {error}")
                continue
            if found is None:
                self.metrics.limited()
            else:
                taken.append(found)
        worth_storing = [alert_store.save(one.number, one.lease) for one in taken if one.is_worth_storing]
        if worth_storing:
            # Before any group knows of them: an alert of a group whose end nobody knows would never end.
            await self._commits.soon(worth_storing)
        alerts = [one.lease.alert(now_ms) for one in taken]
        self.metrics.received([alert.state for alert in alerts])
        for alert, one in zip(alerts, taken, strict=True):
            self._take(alert, now_ms, is_stored=True)
            if one.is_worth_storing:
                # Who mutes it is remembered, and found out now: when its group is told, there is less time.
                self._muting.of(alert.labels, now_ms)
        return refused

    async def tick(self, now_ms: int) -> None:
        for alert in self._intake.ended(now_ms):
            self._take(alert, now_ms, is_stored=True)
        due = list(self._grouping.due(now_ms))
        for at in range(0, max(len(due), 1), FLUSHED_AT_ONCE):
            await self._flush(due[at : at + FLUSHED_AT_ONCE], now_ms)
        await self._keep_house(now_ms)

    def next_tick_ms(self, now_ms: int) -> int | None:
        """When to tick again, for what is due next to be told on time; None: nothing will be due."""
        next_ms = min((group.next_flush_ms for group in self._groups.values()), default=None)
        return None if next_ms is None else max(next_ms, now_ms + TOGETHER_MS + len(self._groups) // GROUPS_A_MS)

    async def _flush(self, due: Sequence[AlertGroup], now_ms: int) -> None:
        """Decide about these groups, write it down, and begin to send it."""
        decisions: list[Decision] = []
        quiet: list[AlertGroup] = []
        for group in due:
            if self._groups.get(group.group_id) is not group:
                # It went while others were written down.
                continue
            due_ms = group.flush(now_ms)
            found = self._decide(group, due_ms, now_ms)
            decisions += found
            # What was told of must be known after a crash, or nobody would be told that it is over.
            if any(one.works for one in found) or group.passed or group.left or not group.alerts:
                self._grouping.changed.add(group.group_id)
            else:
                quiet.append(group)
        settled = self._settle(now_ms)
        if quiet:
            settled.append(store.save_rhythms(quiet))
        told = (one.message.notification.alerts for one in decisions if one.message is not None)
        # Most messages name them.
        fingerprints([alert.labels for alerts in told for alert in alerts])
        await self._write(decisions, settled)
        self.senders.wake()

    async def _write(self, decisions: Sequence[Decision], settled: Sequence[Work]) -> None:
        decided = [work for decision in decisions for work in decision.works]
        try:
            if decided:
                await self._commits.durably([*decided, *settled])
            elif settled:
                await self._commits.soon(settled)
        finally:
            for decision in decisions:
                decision.is_written()

    async def try_out(self, message: Notification) -> Sequence[Outgoing]:
        """Send a message about nothing through every integration of its receiver. The log has it as a test."""
        now_ms = self._clock.now_ms()
        tries = (trial.try_out(sender, message, now_ms) for sender in self.senders.of(message.receiver))
        tried = await asyncio.gather(*tries)
        over_ms = self._clock.now_ms()
        await self._commits.soon([store.finished(one, None if one.last_error else over_ms) for one in tried])
        return tried

    async def drain(self) -> None:
        """Wait until all that is due now is sent or has failed."""
        await self.senders.drain()

    def waiting_since_ms(self) -> int | None:
        """When the notification was decided that has waited longest; None: none waits."""
        return min((one.decided_ms for sender in self.senders for one in sender.all_waiting()), default=None)

    async def write(self, now_ms: int) -> None:
        """Find out whether anything can be written down.

        Raises:
            sqlite3.Error: nothing can.
        """
        await asyncio.wrap_future(self._db.write(alert_store.alive(now_ms), durable=True))

    def end_unknown(self, known: Collection[Labels], now_ms: int) -> None:
        """End the alerts of our rules that no rule knows, once all were evaluated: the rule that ended them may have
        said so to a process that died."""
        unknown = [alert for alert in self._intake.own() if alert.labels not in known]
        ended = [refusal_alert.ended(alert, now_ms) for alert in unknown if not refusal_alert.is_one(alert.labels)]
        self.offer(ended, now_ms)

    def records(self, count: int) -> Sequence[NotificationRecord]:
        """The newest first."""
        return self._db.read(partial(store.records, count=count))

    async def close(self) -> None:
        await self.senders.close()
        await self._commits.soon([alert_store.alive(self._clock.now_ms()), *self._settle(self._clock.now_ms())])

    def _families(self) -> Iterable[MetricFamily]:
        now_ms = self._clock.now_ms()
        muted = [self._muting.is_muted(labels, now_ms) for labels in self._intake.firing_labels(now_ms)]
        silences = {state.value: count for state, count in self.silences.count(now_ms).items()}
        return state_families(
            {"active": muted.count(False), "suppressed": muted.count(True), "unprocessed": 0},
            silences,
            len(self._muting.inhibition.rules),
            self.reload_succeeded,
        )

    @property
    def _groups(self) -> dict[str, AlertGroup]:
        return self._grouping.groups

    def _restore(self, external_url: str) -> None:
        now_ms = self._clock.now_ms()
        stored = self._db.read(partial(store.load, external_url=external_url))
        pushed = self._db.read(alert_store.load)
        alive_ms = now_ms if pushed.alive_ms is None else min(pushed.alive_ms, now_ms)
        self._grouping.restore(stored.groups, now_ms)
        self._intake.restore(pushed.leases, now_ms - alive_ms, alive_ms)
        works = self.senders.restore(stored)
        leased = {lease.labels for lease in pushed.leases.values()}
        for lease in pushed.leases.values():
            # Those that are over too: they are found to be so at the first tick, and whoever was told of them hears it.
            self._grouping.offer(lease.alert(lease.ends_ms - 1), now_ms)
        for group in stored.groups:
            for labels, alert in group.alerts.items():
                if alert.state is AlertState.FIRING and labels not in leased:
                    self._intake.offer(alert, now_ms)
                    self._restore_refusal(labels)
        for known in self._intake.firing(now_ms):
            self._muting.inhibition.begins(known.alert.labels)
        if works:
            self._db.write(all_of(works)).result()

    def _restore_refusal(self, labels: Labels) -> None:
        sender = self.senders.named(refusal_alert.sender_name(labels)) if refusal_alert.is_one(labels) else None
        if sender is not None:
            sender.restore_refusals()

    def _take(self, alert: Alert, now_ms: int, *, hands_over: bool = False, is_stored: bool = False) -> None:
        if alert.state is AlertState.FIRING:
            self._muting.inhibition.begins(alert.labels)
        else:
            self._muting.inhibition.ends(alert.labels)
        if hands_over and alert.state is AlertState.FIRING:
            self._grouping.leave(alert, now_ms)
        else:
            self._grouping.offer(alert, now_ms, is_stored=is_stored)

    def _refused(self, sender: Sender, reason: str) -> None:
        """An integration refuses what it is told: an alert of its own, through the others."""
        now_ms = self._clock.now_ms()
        known = self._intake.known(refusal_alert.labels_of(sender), now_ms)
        if not reason:
            if known is not None:
                self.offer([refusal_alert.ended(known.alert, now_ms)], now_ms)
            return
        alert = refusal_alert.firing(sender, reason, now_ms)
        self._intake.offer(alert, now_ms)
        own = [route.receiver for route in self._grouping.routes(alert.labels)]
        routes = [refusal_alert.route(self.routing.root, receiver) for receiver in self.senders.elsewhere(own, sender)]
        if routes:
            self._grouping.offer(alert, now_ms, routes)

    def _decide(self, group: AlertGroup, due_ms: int, now_ms: int) -> list[Decision]:
        shown = self._shown_at(group, now_ms)
        about = refusal_alert.sender_name(group.labels) if refusal_alert.is_one(group.labels) else ""
        decisions = [one.decide(shown, due_ms) for one in self.senders.of(group.receiver) if one.name != about]
        group.passed |= {labels for labels, alert in group.alerts.items() if alert.state is AlertState.RESOLVED}
        return decisions

    def _shown(self, group_id: str) -> Shown | None:
        group = self._groups.get(group_id)
        if group is None:
            return None
        # Whoever asks will tell of it.
        self._grouping.changed.add(group_id)
        return self._shown_at(group, self._clock.now_ms())

    def _shown_at(self, group: AlertGroup, now_ms: int) -> Shown:
        route = self._grouping.route(group)
        return Shown(group, self._muting.unmuted(group, route, now_ms, self.metrics))

    def _settle(self, now_ms: int) -> list[Work]:
        """Let go of resolved alerts that nobody has to hear of any more, and of empty groups; save what changed."""
        changed = self._grouping.changed
        touched = [group for key in sorted(changed | self._touched) if (group := self._groups.get(key)) is not None]
        works: list[Work] = []
        for group in touched:
            finished = self._finished(group) if group.flushed else set()
            self._grouping.remove(group, finished)
            if self._grouping.is_forgotten(group, now_ms):
                works.append(self._drop(group))
            elif finished or group.group_id in changed:
                works.append(store.save_group(group))
        changed.clear()
        self._touched.clear()
        return works

    def _finished(self, group: AlertGroup) -> set[Labels]:
        # What is over is told at the next flush, to whom it concerns; a flush has passed since.
        over = group.passed | (group.left & group.alerts.keys())
        if over:
            over.difference_update(*(sender.needs(group.group_id) for sender in self.senders.of(group.receiver)))
        return over

    def _drop(self, group: AlertGroup) -> Work:
        self._grouping.drop(group)
        for sender in self.senders.of(group.receiver):
            sender.forget(group.group_id)
        return store.forget_group(group.group_id)

    async def _keep_house(self, now_ms: int) -> None:
        # After the clock was set back, these times are far away.
        if not now_ms < self._next_alive_ms <= now_ms + ALIVE_MS:
            self._next_alive_ms = now_ms + ALIVE_MS
            await self.silences.end_fulfilled(lambda: [one.alert.labels for one in self._intake.firing(now_ms)], now_ms)
            if self._intake.has_leases:
                await self._commits.soon([alert_store.alive(now_ms)])
        if not now_ms < self._next_forget_ms <= now_ms + FORGET_MS:
            self._next_forget_ms = now_ms + FORGET_MS
            await self.silences.forget_old(now_ms)
            old = self._intake.forget_old(now_ms)
            await self._commits.soon([store.forget_old(now_ms), *([alert_store.forget(old)] if old else ())])
