"""A notification, and an HTTP server on the loopback that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass, field

import httpx
import pytest

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels

NOW_MS = 1_700_000_000_000


@dataclass
class FakeServer:
    """One request a connection. `answer` is sent as it is; None: the server keeps silent."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    requests: list[tuple[str, dict[str, str], object]] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((line, headers, json.loads(body)))
            if self.answer is None:
                await asyncio.sleep(5)
            else:
                writer.write(self.answer)
                await writer.drain()
        finally:
            writer.close()


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
    return Notification("team", '{}:{alertname="Down"}', Labels.of(alertname="Down"), chosen, "http://monitor")


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
    """Run `send(notification, client)` of what `make(url)` gives against a server with this answer."""

    def run(make, message, server: FakeServer | None = None, tls: ssl.SSLContext | None = None) -> FakeServer:
        fake = server or FakeServer()

        async def story() -> None:
            listening = await asyncio.start_server(fake.handle, "127.0.0.1", 0, ssl=tls)
            fake.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook"
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    await make(fake.url).send(message, client)
            finally:
                listening.close()

        asyncio.run(story())
        return fake

    return run


@pytest.fixture
def server():
    return FakeServer


@pytest.fixture
def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
