"""One queue for each integration of a receiver, so that a dead one delays no other.

There is at most one notification on its way for each group: a newer truth takes the place of one that could not be
delivered, so that a receiver that was away for an hour hears how things are, not how they were.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.alerting import store
from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.decision import (
    Message,
    Terms,
    Told,
    after_delivery,
    after_doubt,
    due,
    truth,
    without_resolved,
)
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.refusals import Refusals
from trackside.server.alerting.store import Outgoing
from trackside.server.clock import Clock
from trackside.server.db.database import Work

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 300.0
LONGEST_PAUSE_S = 3600.0
LONGEST_WAIT_MS = round(LONGEST_PAUSE_S * 1000)
"""A time further away than that was made before the clock was set back."""
SEND_TIMEOUT_S = 30.0
"""For integrations that set no shorter limit themselves."""
AT_ONCE = 16
"""Messages about different groups on their way at the same time, to a receiver that takes them."""
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

    async def send(self, notification: Notification) -> str:
        """What the receiver calls the message: the `thread` of the next one about the same group; mostly "".

        Raises:
            DeliveryError: the notification was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A group, and those of its alerts that are not muted."""

    group: AlertGroup
    alerts: Sequence[Alert]


@dataclass(slots=True)
class Decision:
    """What is due about a group, to be written down before it may be sent."""

    works: list[Work]
    message: Outgoing | None = None

    def is_written(self) -> None:
        if self.message is not None:
            self.message.may_be_sent = True


@dataclass(frozen=True, slots=True)
class SenderPorts:
    clock: Clock
    metrics: AlertingMetrics
    write: Callable[[list[Work]], Awaitable[None]]
    """Commits, and counts what it cannot commit."""
    shown: Callable[[str], Shown | None]
    touched: Callable[[str], None]
    """Told the id of a group after something was delivered about it, or refused."""
    refused: Callable[[Sender, str], None]
    """Told that an integration refuses what it is told, and why; an empty text when it takes messages again."""
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
        self._in_flight: dict[str, Outgoing] = {}
        """By group, as `_waiting`, which holds them too."""
        self._again: set[str] = set()
        """Groups that were flushed while a notification about them was in flight."""
        self._refusals = Refusals()
        self._is_well = False
        """Whether the last message arrived: only then several are sent at once."""
        self._paused_until_ms = 0
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def restore(self, told: dict[str, Told], waiting: Iterable[Outgoing]) -> None:
        """As the process before left it. Its last attempts may have arrived, and nobody knows."""
        self._told = dict(told)
        for one in waiting:
            self._waiting[one.group_id] = one
            self._told[one.group_id] = after_doubt(self._knows(one.group_id), one.notification.alerts)
        self._count()

    def use(self, integration: Integration) -> None:
        """Send by another configuration; what was refused before is tried again."""
        self.integration = integration
        self._refusals = Refusals()

    def restore_refusals(self) -> None:
        """The process before has said that this integration refuses what it is told."""
        self._refusals.restore()

    def needs(self, group_id: str) -> set[Labels]:
        """The alerts of the group that must be kept: their end is owed, or on its way."""
        needed = set(self._knows(group_id).holds)
        one = self._waiting.get(group_id)
        if one is not None:
            needed |= {alert.labels for alert in one.notification.alerts}
        return needed

    def told_at_ms(self, group_id: str) -> int | None:
        """When a message about the group arrived last."""
        return self._knows(group_id).at_ms

    def waits(self, group_id: str) -> Outgoing | None:
        """The message about the group that could not be delivered yet."""
        return self._waiting.get(group_id)

    def all_waiting(self) -> Iterable[Outgoing]:
        return self._waiting.values()

    def forget(self, group_id: str) -> None:
        self._told.pop(group_id, None)
        self._refusals.forget(group_id)

    def decide(self, shown: Shown, now_ms: int) -> Decision:
        """Decide what is due about a group at its flush."""
        group = shown.group
        decision = Decision([])
        if group.group_id in self._in_flight:
            self._again.add(group.group_id)
            return decision
        told = self._knows(group.group_id)
        if not self.integration.send_resolved:
            told = without_resolved(told, group.alerts.values())
            if told is not self._knows(group.group_id):
                decision.works.append(self._learn(group.group_id, told))
        terms = Terms(self.integration.send_resolved, group.repeat_interval_ms)
        message = due(_addressed(shown, told), told, terms, now_ms)
        if message is not None and self._refusals.are_final(group.group_id, message.alerts, terms, now_ms):
            message = None
        waiting = self._waiting.get(group.group_id)
        if waiting is not None and message is not None and truth(message.alerts) == truth(waiting.notification.alerts):
            return decision
        if waiting is not None:
            reason = "no longer true" if message is None else "replaced by a newer one"
            decision.works.append(self._give_up(waiting, reason))
        if message is not None:
            decision.message = self._enqueue(group, message, waiting, now_ms)
            decision.works.append(store.decided(decision.message))
        self._count()
        return decision

    def wake(self) -> None:
        """Send what is due, in the background."""
        while len(self._in_flight) < (AT_ONCE if self._is_well else 1) and (one := self._next()) is not None:
            self._in_flight[one.group_id] = one
            task = asyncio.create_task(self._send(one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until nothing is due."""
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks)
            self._tasks -= done

    async def close(self, patience_s: float) -> None:
        """Let the messages in flight end, within limits. What waits is sent after the next start."""
        self._closed = True
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def abandon(self, reason: str) -> list[Work]:
        """The integration is no longer configured."""
        self._closed = True
        return [self._give_up(one, reason) for one in list(self._waiting.values())]

    def _knows(self, group_id: str) -> Told:
        return self._told.get(group_id, NOBODY_KNOWS)

    def _learn(self, group_id: str, told: Told) -> Work:
        self._told[group_id] = told
        return store.save_told(self.name, group_id, told)

    def _enqueue(self, group: AlertGroup, message: Message, before: Outgoing | None, now_ms: int) -> Outgoing:
        notification = Notification(
            group.receiver,
            group.group_key,
            group.labels,
            message.alerts,
            self._ports.external_url,
            reason=message.reason.value,
        )
        one = Outgoing(
            secrets.token_hex(8),
            self.name,
            self.integration.kind,
            group.group_id,
            notification,
            now_ms,
            now_ms,
            may_be_sent=False,
        )
        if before is not None:
            # A receiver that is away is not asked more often because there is news.
            one.next_try_ms, one.attempts = before.next_try_ms, before.attempts
        self._waiting[group.group_id] = one
        self._ports.metrics.decided(self.receiver, one.kind)
        return one

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
        ready = (one for one in self._waiting.values() if self._is_ready(one, now_ms))
        if self._is_well:
            # In the order they were decided: to compare all, for each that is sent, takes long when hundreds wait.
            return next(ready, None)
        return min(ready, key=lambda one: one.next_try_ms, default=None)

    def _is_ready(self, one: Outgoing, now_ms: int) -> bool:
        waits = now_ms < one.next_try_ms <= now_ms + LONGEST_WAIT_MS
        return one.may_be_sent and not waits and one.group_id not in self._in_flight

    async def _send(self, one: Outgoing) -> None:
        try:
            error = await self._attempt(one)
        finally:
            del self._in_flight[one.group_id]
        works = self._delivered(one) if error is None else self._failed(one, error)
        self._ports.touched(one.group_id)
        again = self._decided_again(one.group_id)
        # The next one need not wait for the disk: a crash repeats what was not written down yet.
        self.wake()
        try:
            await self._ports.write([*works, *again.works])
        finally:
            again.is_written()
        if again.message is not None:
            self.wake()

    def _decided_again(self, group_id: str) -> Decision:
        """What is due about a group that was flushed while a message about it was in flight."""
        if group_id in self._again:
            self._again.discard(group_id)
            shown = self._ports.shown(group_id)
            if shown is not None and not self._closed:
                return self.decide(shown, self._ports.clock.now_ms())
        return Decision([])

    async def _attempt(self, one: Outgoing) -> DeliveryError | None:
        started_s = self._ports.clock.monotonic_s()
        one.attempts += 1
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                thread = self._knows(one.group_id).thread
                message = replace(one.notification, delivery_id=one.notification_id, thread=thread)
                one.thread = await self.integration.send(message) or ""
        except DeliveryError as error:
            return error
        except TimeoutError:
            return DeliveryError(f"no answer within {SEND_TIMEOUT_S:g} s", retry=True, maybe_sent=True)
        except Exception as error:  # noqa: BLE001 - one message must not stop the queue; counted, and shown in the log
            _log.exception("cannot notify receiver %s", self.receiver)
            return DeliveryError(f"internal error: {error!r}", retry=False, maybe_sent=True)
        finally:
            elapsed_s = self._ports.clock.monotonic_s() - started_s
            self._ports.metrics.attempted(self.receiver, one.kind, elapsed_s)
        return None

    def _delivered(self, one: Outgoing) -> list[Work]:
        self._is_well = True
        self._ports.metrics.delivered.labels(self.receiver, one.kind).inc()
        now_ms = self._ports.clock.now_ms()
        if one.attempts > 1:
            # The receiver is back: what waits about other groups need not wait longer.
            for other in self._waiting.values():
                other.next_try_ms = min(other.next_try_ms, now_ms)
        self._waiting.pop(one.group_id, None)
        one.last_error = ""
        if self._refusals.end(one.group_id):
            self._ports.refused(self, "")
        self._count()
        # A repeat counts from the flush, which has no jitter; after a failed attempt, from the delivery.
        told_ms = one.decided_ms if one.attempts == 1 else now_ms
        told = after_delivery(self._knows(one.group_id), one.notification.alerts, told_ms, one.thread)
        return [store.finished(one, now_ms), self._learn(one.group_id, told)]

    def _failed(self, one: Outgoing, error: DeliveryError) -> list[Work]:
        self._is_well = False
        self._ports.metrics.failed(self.receiver, one.kind, error)
        one.last_error = error.reason
        works: list[Work] = []
        if error.maybe_sent:
            works.append(self._learn(one.group_id, after_doubt(self._knows(one.group_id), one.notification.alerts)))
        now_ms = self._ports.clock.now_ms()
        if not error.retry:
            _log.warning("receiver %s refused a notification: %s", self.name, error.reason)
            if self._refusals.note(one.group_id, one.notification.alerts, now_ms):
                self._ports.refused(self, error.reason)
            return [*works, self._give_up(one, "refused")]
        if self._waiting.get(one.group_id) is not one:
            # Given up while it was on its way: its receiver is gone.
            return works
        if error.retry_after_s is not None:
            pause_s = min(max(error.retry_after_s, FIRST_RETRY_S), LONGEST_PAUSE_S)
            self._paused_until_ms = one.next_try_ms = now_ms + round(pause_s * 1000)
        else:
            one.next_try_ms = now_ms + round(backoff_s(one.attempts) * 1000)
        return [*works, store.tried(one)]


def _addressed(shown: Shown, told: Told) -> list[Alert]:
    """Those of the alerts that concern who was told so much: not what left the group, apart from its end, and not
    what was over at a flush before."""
    group = shown.group
    return [
        alert
        for alert in shown.alerts
        if (alert.state is AlertState.RESOLVED and alert.labels in told.holds)
        or not (alert.labels in group.left or alert.labels in group.passed)
    ]


def backoff_s(attempts: int) -> float:
    """Doubles up to five minutes; between a half and the whole of that, so that queues do not march in step."""
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)
