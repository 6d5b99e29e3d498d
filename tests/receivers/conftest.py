"""A notification, and an HTTP server on the loopback that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass, field

import pytest

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.receivers.clients import Clients
from trackside.server.receivers.config import ReceiverConfig, filled, integrations
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.templates import NotificationTemplates

NOW_MS = 1_700_000_000_000


@dataclass
class FakeServer:
    """One request a connection. `answers` are sent as they are, the last to all that follow; None: it keeps silent."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    first: list[bytes] = field(default_factory=list)
    """What it answers before `answer`."""
    requests: list[tuple[str, dict[str, str], object]] = field(default_factory=list)
    """Request line, headers by lower-case name, and the body: JSON, text, or bytes where it holds a file."""
    url: str = ""
    thread: str = ""
    """What the integration says of the message that was delivered."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((line, headers, self._read(body, headers.get("content-type", ""))))
            answer = self.first.pop(0) if self.first else self.answer
            if answer is None:
                await asyncio.sleep(5)
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    @staticmethod
    def _read(body: bytes, content_type: str) -> object:
        if content_type.startswith("multipart/"):
            return body
        text = body.decode()
        return json.loads(text) if text[:1] in ("{", "[") else text

    @property
    def bodies(self) -> list[object]:
        return [body for _, _, body in self.requests]


def status(code: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {code} Reason", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def alert(name: str = "Down", resolved: bool = False, **labels: str) -> Alert:
    state = AlertState.RESOLVED if resolved else AlertState.FIRING
    return Alert(
        Labels.of({"alertname": name, **labels}),
        Labels.of(summary=f"{name} is bad", runbook_url="http://runbook/1"),
        state,
        1.0,
        NOW_MS - 60_000,
        NOW_MS,
        NOW_MS + 1_500 if resolved else None,
        generator_url="http://monitor/graph?a=b&c=d",
    )


def notification(*alerts: Alert) -> Notification:
    chosen = alerts or (alert(job="shop", i="1"), alert(job="shop", i="2"))
    return Notification(
        "team",
        '{}:{alertname="Down"}',
        Labels.of(alertname="Down"),
        chosen,
        "http://monitor",
        reason="first notification",
        delivery_id="0123abcd",
    )


@pytest.fixture
def new_alert():
    return alert


@pytest.fixture
def new_notification():
    return notification


@pytest.fixture
def answer():
    return status


@pytest.fixture
def deliver():
    """Send a message by what `make(url)` gives, to a server with this answer."""

    def run(make, message, server: FakeServer | None = None, tls: ssl.SSLContext | None = None) -> FakeServer:
        fake = server or FakeServer()

        async def story() -> None:
            listening = await asyncio.start_server(fake.handle, "127.0.0.1", 0, ssl=tls)
            fake.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook"
            clients = Clients()
            try:
                fake.thread = await make(fake.url).send(message, clients.get)
            finally:
                await clients.close()
                listening.close()

        asyncio.run(story())
        return fake

    return run


@pytest.fixture
def server():
    return FakeServer


@pytest.fixture
def templates():
    return NotificationTemplates({}, lambda: NOW_MS + 60_000)


@pytest.fixture
def our_templates():
    """Those of a trackside.yml."""
    return NotificationTemplates({}, lambda: NOW_MS + 60_000, ours=True, has_runbook=lambda name: name == "Known")


@pytest.fixture
def integration(templates):
    """An integration of a kind, from its section; `{url}` within a text is where the fake server is."""

    def make(kind, section=None, defaults=None, texts=templates, **values):
        def at(url):
            given = json.loads(json.dumps({**(section or {}), **values}).replace("{url}", url))
            receiver = ReceiverConfig.model_validate({"name": "team", f"{kind}_configs": [given]})
            complete = filled(receiver, NotificationDefaults.model_validate(defaults or {}))
            (bound,) = integrations(complete, lambda _: None, texts)
            return bound._integration

        return at

    return make


@pytest.fixture
def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
