"""From alerts to notifications: routes, groups, and the moments at which each group is told."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial

from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState, NotificationRecord
from trackside.model.labels import Labels
from trackside.server.alerting import store
from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.config import RouteConfig
from trackside.server.alerting.group import AlertGroup, group_id, new_group
from trackside.server.alerting.route import Route, route_tree
from trackside.server.alerting.sender import Integration, Sender, SenderPorts
from trackside.server.alerting.store import Work
from trackside.server.clock import Clock
from trackside.server.db.database import Database

CLOSE_PATIENCE_S = 5.0
Receivers = Mapping[str, Sequence[Integration]]

_log = logging.getLogger("trackside.server")


class Dispatcher:
    """Takes alerts as they are, and tells each receiver of each change once.

    To be woken by `tick`, several times a second: it decides what is due, writes it down, and sends in the background.
    """

    def __init__(
        self,
        config: RouteConfig,
        receivers: Receivers,
        db: Database,
        clock: Clock,
        registry: Registry,
        external_url: str,
    ) -> None:
        self._db = db
        self._metrics = AlertingMetrics(registry)
        self._groups: dict[str, AlertGroup] = {}
        self._holders: dict[Labels, set[str]] = {}
        """Ids of the groups that hold an alert."""
        self._routed: dict[Labels, tuple[Route, ...]] = {}
        self._changed: set[str] = set()
        """Ids of the groups to be settled and saved at the next tick."""
        self._ports = SenderPorts(clock, self._metrics, self._commit, self._groups.get, self._changed.add, external_url)
        self._senders: dict[str, Sender] = {}
        db.create(store.SCHEMA)
        self._root = route_tree(config)
        self._configure(receivers)
        self._restore(db.read(partial(store.load, external_url=external_url)))

    def apply(self, config: RouteConfig, receivers: Receivers) -> None:
        """Go on with another configuration. Alerts that now go elsewhere are announced there; where they were
        announced before, only their end is told."""
        self._root = route_tree(config)
        self._routed.clear()
        self._configure(receivers)
        gone = [group for group in self._groups.values() if group.receiver not in receivers]
        if gone:
            self._db.write(store.all_of([self._drop(group) for group in gone]))

    def offer(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """The alerts that fire or have resolved, as often as one likes: the same news twice is no news."""
        for alert in alerts:
            if alert.state is not AlertState.PENDING:
                self._offer(alert, now_ms)
        self._metrics.groups.set(len(self._groups))

    async def tick(self, now_ms: int) -> None:
        works: list[Work] = []
        for group in list(self._groups.values()):
            if group.is_due(now_ms):
                due_ms = group.flush(now_ms)
                self._changed.add(group.group_id)
                for sender in self._senders_of(group):
                    works += sender.decide(group, due_ms)
        works += self._settle()
        if works:
            await self._commit(works)
        for sender in self._senders.values():
            sender.wake()

    async def drain(self) -> None:
        """Wait until all that is due now is sent or has failed."""
        for sender in list(self._senders.values()):
            await sender.drain()

    def records(self, count: int) -> Sequence[NotificationRecord]:
        """The newest first."""
        return self._db.read(partial(store.records, count=count))

    async def close(self) -> None:
        await asyncio.gather(*(sender.close(CLOSE_PATIENCE_S) for sender in self._senders.values()))

    def _configure(self, receivers: Receivers) -> None:
        wanted: dict[str, Sender] = {}
        for receiver, integrations in receivers.items():
            counts: dict[str, int] = {}
            for integration in integrations:
                kind = integration.kind
                name = f"{receiver}/{kind}/{counts.get(kind, 0)}"
                counts[kind] = counts.get(kind, 0) + 1
                sender = self._senders.pop(name, None) or Sender(receiver, name, integration, self._ports)
                sender.integration = integration
                wanted[name] = sender
        abandoned = [work for sender in self._senders.values() for work in sender.abandon("no longer configured")]
        if abandoned:
            self._db.write(store.all_of(abandoned))
        self._senders = wanted

    def _restore(self, stored: store.Stored) -> None:
        for group in stored.groups:
            self._groups[group.group_id] = group
            for labels in group.alerts:
                self._holders.setdefault(labels, set()).add(group.group_id)
        for name, sender in self._senders.items():
            told = {group: known for (owner, group), known in stored.told.items() if owner == name}
            sender.restore(told, [one for one in stored.waiting if one.integration == name])
        strays = [one for one in stored.waiting if one.integration not in self._senders]
        if strays:
            self._db.write(store.all_of(store.given_up(one, "no longer configured") for one in strays)).result()

    def _offer(self, alert: Alert, now_ms: int) -> None:
        holders = self._holders.get(alert.labels, set())
        if alert.state is AlertState.RESOLVED:
            # Whoever was never told of it need not hear that it is over.
            for key in holders:
                self._put(self._groups[key], alert, now_ms)
            return
        routes = self._routed.get(alert.labels)
        if routes is None:
            routes = self._routed[alert.labels] = self._root.matching(alert.labels)
        targets = {self._join(route, alert, now_ms) for route in routes}
        for key in holders - targets:
            group = self._groups[key]
            group.left.add(alert.labels)
            self._put(group, alert, now_ms)
        self._holders[alert.labels] = holders | targets

    def _join(self, route: Route, alert: Alert, now_ms: int) -> str:
        labels = route.group_labels(alert.labels)
        key = group_id(route, labels)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = new_group(route, labels, now_ms)
        group.group_wait_ms, group.group_interval_ms = route.group_wait_ms, route.group_interval_ms
        group.repeat_interval_ms = route.repeat_interval_ms
        group.left.discard(alert.labels)
        self._put(group, alert, now_ms)
        return key

    def _put(self, group: AlertGroup, alert: Alert, now_ms: int) -> None:
        if group.put(alert, now_ms):
            self._changed.add(group.group_id)

    def _senders_of(self, group: AlertGroup) -> list[Sender]:
        return [sender for sender in self._senders.values() if sender.receiver == group.receiver]

    def _settle(self) -> list[Work]:
        """Let go of resolved alerts that nobody has to hear of any more, and of empty groups; save what changed."""
        changed = [group for key in sorted(self._changed) if (group := self._groups.get(key)) is not None]
        self._changed.clear()
        works: list[Work] = []
        for group in changed:
            if group.flushed:
                self._remove(group, self._finished(group))
            works.append(store.save_group(group) if group.alerts else self._drop(group))
        return works

    def _finished(self, group: AlertGroup) -> set[Labels]:
        over = {labels for labels, alert in group.alerts.items() if alert.state is AlertState.RESOLVED}
        over |= group.left & group.alerts.keys()
        if over:
            over.difference_update(*(sender.needs(group.group_id) for sender in self._senders_of(group)))
        return over

    def _remove(self, group: AlertGroup, gone: set[Labels]) -> None:
        for labels in gone:
            del group.alerts[labels]
            group.left.discard(labels)
            holders = self._holders.get(labels, set())
            holders.discard(group.group_id)
            if not holders:
                self._holders.pop(labels, None)
                self._routed.pop(labels, None)

    def _drop(self, group: AlertGroup) -> Work:
        self._remove(group, set(group.alerts))
        del self._groups[group.group_id]
        for sender in self._senders_of(group):
            sender.forget(group.group_id)
        return store.forget_group(group.group_id)

    async def _commit(self, works: list[Work]) -> None:
        try:
            await asyncio.wrap_future(self._db.write(store.all_of(works)))
        except sqlite3.Error as error:
            # A full disk must not keep anyone from being told.
            self._metrics.state_write_failures.inc()
            _log.warning("cannot save the state of alerting: %s", error)
