"""One queue for each integration of a receiver, so that a dead one delays no other.

There is at most one notification on its way for each group: a newer truth takes the place of one that could not be
delivered, so that a receiver that was away for an hour hears how things are, not how they were.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Alert, Notification
from trackside.model.labels import Labels
from trackside.server.alerting import store
from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.decision import (
    Terms,
    Told,
    after_delivery,
    after_doubt,
    due,
    same_truth,
    without_resolved,
)
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.store import Outgoing, Work
from trackside.server.clock import Clock

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 300.0
LONGEST_PAUSE_S = 3600.0
LONGEST_WAIT_MS = round(LONGEST_PAUSE_S * 1000)
"""A time further away than that was made before the clock was set back."""
SEND_TIMEOUT_S = 30.0
"""For integrations that set no shorter limit themselves."""
NOBODY_KNOWS = Told()

_log = logging.getLogger("trackside.server")


class Integration(Protocol):
    """One way to tell one receiver."""

    @property
    def kind(self) -> str:
        """Such as "webhook", "slack"."""
        ...

    @property
    def send_resolved(self) -> bool: ...

    async def send(self, notification: Notification) -> None:
        """
        Raises:
            DeliveryError: the notification was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class SenderPorts:
    clock: Clock
    metrics: AlertingMetrics
    write: Callable[[list[Work]], Awaitable[None]]
    """Commits, and counts what it cannot commit."""
    group: Callable[[str], AlertGroup | None]
    touched: Callable[[str], None]
    """Told the id of a group after something was delivered about it, or refused."""
    external_url: str


class Sender:
    def __init__(self, receiver: str, name: str, integration: Integration, ports: SenderPorts) -> None:
        self.receiver = receiver
        self.name = name
        """Of the integration, unique: `team/webhook/0`."""
        self.integration = integration
        self._ports = ports
        self._told: dict[str, Told] = {}
        self._waiting: dict[str, Outgoing] = {}
        self._in_flight: Outgoing | None = None
        self._again: set[str] = set()
        """Groups that were flushed while a notification about them was in flight."""
        self._paused_until_ms = 0
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def restore(self, told: dict[str, Told], waiting: Iterable[Outgoing]) -> None:
        """As the process before left it. Its last attempts may have arrived, and nobody knows."""
        self._told = dict(told)
        for one in waiting:
            self._waiting[one.group_id] = one
            self._told[one.group_id] = after_doubt(self._knows(one.group_id), one.notification.alerts)
        self._count()

    def needs(self, group_id: str) -> set[Labels]:
        """The alerts of the group that must be kept: their end is owed, or on its way."""
        needed = set(self._knows(group_id).holds)
        for one in (self._waiting.get(group_id), self._in_flight):
            if one is not None and one.group_id == group_id:
                needed |= {alert.labels for alert in one.notification.alerts}
        return needed

    def forget(self, group_id: str) -> None:
        self._told.pop(group_id, None)

    def decide(self, group: AlertGroup, now_ms: int) -> list[Work]:
        """Decide what is due about a group at its flush; what has to be written before it may be sent."""
        if self._in_flight is not None and self._in_flight.group_id == group.group_id:
            self._again.add(group.group_id)
            return []
        works: list[Work] = []
        told = self._knows(group.group_id)
        if not self.integration.send_resolved:
            told = without_resolved(told, group.alerts.values())
        if told is not self._knows(group.group_id):
            works.append(self._learn(group.group_id, told))
        terms = Terms(self.integration.send_resolved, group.repeat_interval_ms)
        alerts = due(group.alerts.values(), frozenset(group.left), told, terms, now_ms)
        waiting = self._waiting.get(group.group_id)
        if waiting is not None and alerts and same_truth(alerts, waiting.notification.alerts):
            return works
        if waiting is not None:
            works.append(self._give_up(waiting, "no longer true" if not alerts else "replaced by a newer one"))
        if alerts:
            works.append(self._enqueue(group, alerts, waiting, now_ms))
        self._count()
        return works

    def wake(self) -> None:
        """Send what is due, in the background."""
        if (self._task is None or self._task.done()) and self._next() is not None:
            self._task = asyncio.create_task(self._send_all())

    async def drain(self) -> None:
        """Wait until nothing is due."""
        if self._task is not None:
            await self._task

    async def close(self, patience_s: float) -> None:
        """Let the message in flight end, within limits. What waits is sent after the next start."""
        if self._task is not None and not self._task.done():
            self._closed = True
            await asyncio.wait([self._task], timeout=patience_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def abandon(self, reason: str) -> list[Work]:
        """The integration is no longer configured."""
        self._closed = True
        return [self._give_up(one, reason) for one in list(self._waiting.values())]

    def _knows(self, group_id: str) -> Told:
        return self._told.get(group_id, NOBODY_KNOWS)

    def _learn(self, group_id: str, told: Told) -> Work:
        self._told[group_id] = told
        return store.save_told(self.name, group_id, told)

    def _enqueue(self, group: AlertGroup, alerts: tuple[Alert, ...], before: Outgoing | None, now_ms: int) -> Work:
        notification = Notification(group.receiver, group.group_key, group.labels, alerts, self._ports.external_url)
        one = Outgoing(
            secrets.token_hex(8), self.name, self.integration.kind, group.group_id, notification, now_ms, now_ms
        )
        if before is not None:
            # A receiver that is away is not asked more often because there is news.
            one.next_try_ms, one.attempts = before.next_try_ms, before.attempts
        self._waiting[group.group_id] = one
        return store.decided(one)

    def _give_up(self, one: Outgoing, reason: str) -> Work:
        self._waiting.pop(one.group_id, None)
        self._ports.metrics.given_up.labels(self.receiver, one.kind).inc()
        self._count()
        return store.given_up(one, reason)

    def _count(self) -> None:
        self._ports.metrics.waiting.labels(self.receiver, self.integration.kind).set(len(self._waiting))

    def _next(self) -> Outgoing | None:
        now_ms = self._ports.clock.now_ms()
        if self._closed or now_ms < self._paused_until_ms <= now_ms + LONGEST_WAIT_MS:
            return None
        ready = [one for one in self._waiting.values() if not now_ms < one.next_try_ms <= now_ms + LONGEST_WAIT_MS]
        return min(ready, key=lambda one: one.next_try_ms, default=None)

    async def _send_all(self) -> None:
        while (one := self._next()) is not None:
            self._in_flight = one
            try:
                error = await self._attempt(one)
            finally:
                self._in_flight = None
            works = self._delivered(one) if error is None else self._failed(one, error)
            self._ports.touched(one.group_id)
            if one.group_id in self._again:
                self._again.discard(one.group_id)
                group = self._ports.group(one.group_id)
                if group is not None and not self._closed:
                    works += self.decide(group, self._ports.clock.now_ms())
            await self._ports.write(works)

    async def _attempt(self, one: Outgoing) -> DeliveryError | None:
        started_s = self._ports.clock.monotonic_s()
        one.attempts += 1
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.integration.send(one.notification)
        except DeliveryError as error:
            return error
        except TimeoutError:
            return DeliveryError(f"no answer within {SEND_TIMEOUT_S:g} s", retry=True, maybe_sent=True)
        except Exception as error:  # noqa: BLE001 - one message must not stop the queue; counted, and shown in the log
            _log.exception("cannot notify receiver %s", self.receiver)
            return DeliveryError(f"internal error: {error!r}", retry=False, maybe_sent=True)
        finally:
            elapsed_s = self._ports.clock.monotonic_s() - started_s
            self._ports.metrics.delivery_seconds.labels(self.receiver, one.kind).observe(elapsed_s)
        return None

    def _delivered(self, one: Outgoing) -> list[Work]:
        self._ports.metrics.delivered.labels(self.receiver, one.kind).inc()
        now_ms = self._ports.clock.now_ms()
        if one.attempts > 1:
            # The receiver is back: what waits about other groups need not wait longer.
            for other in self._waiting.values():
                other.next_try_ms = min(other.next_try_ms, now_ms)
        self._waiting.pop(one.group_id, None)
        one.last_error = ""
        self._count()
        # A repeat counts from the flush, which has no jitter; after a failed attempt, from the delivery.
        told_ms = one.decided_ms if one.attempts == 1 else now_ms
        told = after_delivery(self._knows(one.group_id), one.notification.alerts, told_ms)
        return [store.finished(one, now_ms), self._learn(one.group_id, told)]

    def _failed(self, one: Outgoing, error: DeliveryError) -> list[Work]:
        self._ports.metrics.failed_attempts.labels(self.receiver, one.kind).inc()
        one.last_error = error.reason
        works: list[Work] = []
        if error.maybe_sent:
            works.append(self._learn(one.group_id, after_doubt(self._knows(one.group_id), one.notification.alerts)))
        if not error.retry:
            _log.warning("receiver %s refused a notification: %s", self.name, error.reason)
            return [*works, self._give_up(one, "refused")]
        now_ms = self._ports.clock.now_ms()
        if error.retry_after_s is not None:
            pause_s = min(max(error.retry_after_s, FIRST_RETRY_S), LONGEST_PAUSE_S)
            self._paused_until_ms = one.next_try_ms = now_ms + round(pause_s * 1000)
        else:
            one.next_try_ms = now_ms + round(backoff_s(one.attempts) * 1000)
        return [*works, store.tried(one)]


def backoff_s(attempts: int) -> float:
    """Doubles up to five minutes; between a half and the whole of that, so that queues do not march in step."""
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)
