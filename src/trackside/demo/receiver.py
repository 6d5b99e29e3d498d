"""The receiver: stands for the chat a team would be told in, and shows each notification that arrives."""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST_KEPT = 200
MOST_BODY_BYTES = 1 << 20

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width"><title>Notifications received</title>
<style>:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem}}
li{{margin:.5rem 0}}time{{opacity:.7}}</style>
<h1>Notifications received</h1>
<p>This page stands for your chat: the demo's alerts arrive here by webhook.</p><ul>{}</ul>"""


@dataclass(frozen=True, slots=True)
class Received:
    at: datetime
    status: str
    """Either "firing" or "resolved"."""
    summaries: tuple[str, ...]

    def __str__(self) -> str:
        mark = "▲ FIRING  " if self.status == "firing" else "● resolved"
        return f"{mark} {'; '.join(self.summaries)}"


def read_notification(payload: Mapping[str, Any], at: datetime) -> Received:
    """
    Raises:
        KeyError, TypeError: not an Alertmanager webhook payload.
    """
    alerts = payload["alerts"]
    summaries = tuple(
        str(alert["annotations"].get("summary") or alert["labels"].get("alertname", "alert")) for alert in alerts
    )
    return Received(at, str(payload["status"]), summaries)


class Receiver:
    """An ASGI app. `received` holds the newest notifications, oldest first."""

    def __init__(self, show: Callable[[Received], None]) -> None:
        self.received: list[Received] = []
        self._show = show

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            status, body = self._take(await _body(receive))
        else:
            status, body = 200, self._page()
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    def _take(self, body: bytes) -> tuple[int, str]:
        try:
            notification = read_notification(json.loads(body), datetime.now(UTC))
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, "expected an Alertmanager webhook payload"
        self.received = [*self.received, notification][-MOST_KEPT:]
        self._show(notification)
        return 200, "ok"

    def _page(self) -> str:
        lines = [
            f"<li><time>{received.at:%H:%M:%S} UTC</time> {html.escape(str(received))}</li>"
            for received in reversed(self.received)
        ]
        return _PAGE.format("".join(lines) or "<li>None yet.</li>")


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body = b""
    while len(body) < MOST_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body
