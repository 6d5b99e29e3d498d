"""`/alerts/notifications`: who was told what and when, what did not arrive, and a message to try a receiver with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.alerting.trial import REASON
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.forms import form_of
from trackside.server.web.pages.alerts.notification_log import NotificationRow, rows_of, undelivered
from trackside.server.web.pages.alerts.places import TABS
from trackside.server.web.verdict import Level, worst_first
from trackside.server.web.visitor import author_of, may_act

READ = 1_000
SHOWN = 100
OUTCOMES = ("", "delivered", "waiting", "failed")
TEST_NAME = "TracksideTest"


@dataclass(frozen=True, slots=True)
class LogFilter:
    receiver: str = ""
    outcome: str = ""
    text: str = ""
    """Part of the name of an alert, of a label's value, or of an error."""

    @classmethod
    def of(cls, params: Mapping[str, str]) -> LogFilter:
        outcome = params.get("outcome", "")
        return cls(params.get("receiver", ""), outcome if outcome in OUTCOMES else "", params.get("q", "").strip())

    def holds(self, row: NotificationRow) -> bool:
        record = row.record
        return (
            self.receiver in ("", record.receiver)
            and self.outcome in ("", row.outcome)
            and (not self.text or self.text.lower() in _words(row))
        )

    def params(self) -> dict[str, str]:
        return {"receiver": self.receiver, "outcome": self.outcome, "q": self.text}


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a test message."""

    integration: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class NotificationPages:
    console: Console

    async def show(self, request: Request) -> Response:
        return await self._page(request, ())

    async def test(self, request: Request) -> Response:
        """Send a test message through every integration of a receiver, and say what became of it."""
        if not may_act(request):
            return render.error_page(403, "You may not do that", "Only operators send test notifications.")
        receiver = str((await form_of(request)).get("receiver") or "")
        dispatcher = self.console.alerting()
        if dispatcher is None or not dispatcher.senders.of(receiver):
            return render.error_page(404, "Nobody to send to", f"The receiver {receiver!r} has no way to be told.")
        outcome = await dispatcher.try_out(_test_message(self.console, receiver, author_of(request)))
        return await self._page(request, tuple(Tried(one.kind, one.last_error) for one in outcome))

    async def _page(self, request: Request, tried: Sequence[Tried]) -> Response:
        period = render.period_for(request, self.console)
        # A refresh would take the outcome of a test away while it is read.
        period = replace(period, refresh_s=0) if tried else period
        wanted = LogFilter.of(request.query_params)
        records = await run_in_threadpool(self.console.notifications, READ)
        rows = rows_of(records)
        kept = [row for row in rows if wanted.holds(row)]
        findings = worst_first(undelivered(records))
        receivers = _receivers(self.console.alerting())
        facts: Mapping[str, object] = {
            "tabs": TABS,
            "tab": "notifications",
            "findings": findings,
            "calm": _calm_line(rows),
            "log": kept[:SHOWN],
            "hidden": len(kept) - len(kept[:SHOWN]),
            "wanted": wanted,
            "outcomes": OUTCOMES,
            "receivers": receivers,
            "known": sorted({row.record.receiver for row in rows} | receivers.keys()),
            "tried": tried,
            "may_act": may_act(request),
            "reached": len(records) >= READ,
        }
        level = findings[0].level if findings else Level.OK
        page = render.Page(
            "notifications.html", "alerts", "Notifications", level, facts, wanted.params(), has_range=False
        )
        return render.respond(request, self.console, period, page)


def _receivers(dispatcher: Dispatcher | None) -> dict[str, tuple[str, ...]]:
    """Each with the kinds of its integrations."""
    if dispatcher is None:
        return {}
    return {
        name: tuple(sender.integration.kind for sender in dispatcher.senders.of(name))
        for name in dispatcher.routing.receivers
    }


def _test_message(console: Console, receiver: str, author: str) -> Notification:
    now_ms = console.clock.now_ms()
    labels = Labels.of(alertname=TEST_NAME, severity="info")
    annotations = Labels.of(
        summary=f"[TEST] {author} asked for this message. Nothing is wrong.",
        description="If you can read this, alerts for this receiver arrive where you are.",
    )
    alert = Alert(labels, annotations, AlertState.FIRING, 1.0, now_ms, now_ms)
    return Notification(receiver, f"{{}}:{labels}", labels, (alert,), console.external_url, reason=REASON)


def _calm_line(rows: Sequence[NotificationRow]) -> str:
    if all(row.is_test for row in rows):
        return "Nobody was told anything yet."
    waiting = sum(row.record.is_waiting for row in rows)
    return f"{plural(waiting, 'notification')} on the way." if waiting else "Everything arrived."


def _words(row: NotificationRow) -> str:
    record = row.record
    values = [value for alert in record.alerts for _, value in alert.labels]
    return " ".join((*record.alert_names, *values, record.last_error, record.group_key)).lower()
