"""`/ping/<key>`: where jobs tell that they start, succeed or fail. Open to everybody who knows the key."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from math import ceil

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.access.throttle import Throttle
from trackside.server.probes.heartbeats.book import Heartbeats
from trackside.server.probes.heartbeats.state import Ping, PingKind

MAX_NOTE_BYTES = 10_000
"""Of a body, that are kept. The rest is not read: a ping counts, whatever comes with it."""
NOTE_TIMEOUT_S = 5.0
MAX_RUN_ID_CHARS = 100
METHODS = ["GET", "HEAD", "POST"]
PATH = "/ping/"
_VERBS = {"start": PingKind.START, "success": PingKind.SUCCESS, "fail": PingKind.FAIL}


def ping_routes(heartbeats: Heartbeats, client_of: Callable[[Request], str]) -> list[BaseRoute]:
    """`client_of` says who asks, seen through proxies that are trusted."""
    door = _Door(heartbeats, client_of)
    return [
        Route(PATH + "{key}", door.ping, methods=METHODS),
        Route(PATH + "{key}/{verb}", door.ping, methods=METHODS),
    ]


class _Door:
    def __init__(self, heartbeats: Heartbeats, client_of: Callable[[Request], str]) -> None:
        self._heartbeats, self._client_of = heartbeats, client_of
        self._guessing = Throttle()

    async def ping(self, request: Request) -> Response:
        heartbeats, client = self._heartbeats, self._client_of(request)
        # The moment at which it was told counts, not the one at which its body has come in.
        now_ms = heartbeats.now_ms()
        name = heartbeats.find(request.path_params["key"])
        if name is None:
            return self._unknown(client, now_ms)
        kind = _kind(request.path_params.get("verb", "success"))
        run_id = request.query_params.get("rid", "")
        if kind is None:
            return _text("expected /start, /success, /fail or an exit status from 0 to 255 behind the key", 404)
        if len(run_id) > MAX_RUN_ID_CHARS or not run_id.isprintable():
            return _text(f"rid: expected at most {MAX_RUN_ID_CHARS} printable characters", 400)
        if wait_ms := heartbeats.wait_ms(name):
            return _too_many(wait_ms)
        try:
            await heartbeats.ping(name, Ping(kind, now_ms, run_id, await _note(request)), client)
        except sqlite3.Error:
            return _text("the ping could not be kept; try again", 503, {"retry-after": "5"})
        return _text("OK")

    def _unknown(self, client: str, now_ms: int) -> Response:
        if wait_ms := self._guessing.blocked_ms(client, now_ms):
            return _too_many(wait_ms)
        self._guessing.failed(client, now_ms)
        return _text("no heartbeat has this key", 404)


def _kind(verb: str) -> PingKind | None:
    """Also from the exit status of a command: `/ping/<key>/$?`."""
    if verb in _VERBS:
        return _VERBS[verb]
    if not (verb.isascii() and verb.isdigit() and len(verb) <= 3 and int(verb) <= 255):
        return None
    return PingKind.SUCCESS if int(verb) == 0 else PingKind.FAIL


async def _note(request: Request) -> str:
    """The beginning of the body: as much as came in time."""
    parts = bytearray()
    try:
        async with asyncio.timeout(NOTE_TIMEOUT_S):
            async for chunk in request.stream():
                parts += chunk[: MAX_NOTE_BYTES - len(parts)]
                if len(parts) >= MAX_NOTE_BYTES:
                    break
    except (TimeoutError, ClientDisconnect):
        # It was told that the job is alive. What else it wanted to say is not worth an alarm.
        pass
    return parts.decode("utf-8", "replace").replace("\0", "\ufffd")


def _too_many(wait_ms: int) -> Response:
    return _text("too many pings: wait a little", 429, {"retry-after": str(ceil(wait_ms / 1000))})


def _text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers={"cache-control": "no-store", **(headers or {})})
