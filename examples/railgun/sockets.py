"""The WebSocket of a client: says who it is, sends messages, enters and leaves voice channels, and is told of others.

A client need not say anything: who only wants to see whether the service is there may connect and go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import WebSocket, WebSocketDisconnect, status
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from railgun import database
from railgun.monitoring import monitor, processed
from railgun.store import Delivery, store

_HELLO_WITHIN_S = 30.0
_log = logging.getLogger("MessageGateway")

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Text = Annotated[str, Field(min_length=1, max_length=4_000)]


class Hello(BaseModel):
    type: Literal["hello"]
    token: str


class DirectMessage(BaseModel):
    type: Literal["dm"]
    to: Name
    text: Text


class ChannelMessage(BaseModel):
    type: Literal["channel"]
    channel_id: Name
    text: Text


class Voice(BaseModel):
    type: Literal["voice"]
    channel_id: Name
    joined: bool


_hello = TypeAdapter(Hello)
_message: TypeAdapter[DirectMessage | ChannelMessage | Voice] = TypeAdapter(
    Annotated[DirectMessage | ChannelMessage | Voice, Field(discriminator="type")]
)


class Gateway:
    """The clients of this process. Lives on the event loop."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, set[WebSocket]] = defaultdict(set)

    async def serve(self, socket: WebSocket) -> None:
        """Until the client goes."""
        await socket.accept()
        with suppress(WebSocketDisconnect, ConnectionError):
            member = await _said_hello(socket)
            if member is None:
                await socket.close(status.WS_1008_POLICY_VIOLATION, "say hello with a token")
                return
            with monitor.bind(user_id=member):
                await self._serve(socket, member)

    async def deliver(self, delivery: Delivery) -> None:
        """To those of its receivers whose client is connected here; everybody, where it names none."""
        names = list(self._sockets) if delivery["to"] is None else delivery["to"]
        sockets = [socket for name in names for socket in self._sockets.get(name, ())]
        # Who has just gone is found out by whoever reads from that client.
        await asyncio.gather(*(socket.send_json(delivery["message"]) for socket in sockets), return_exceptions=True)

    async def _serve(self, socket: WebSocket, member: str) -> None:
        voice: set[str] = set()
        self._sockets[member].add(socket)
        try:
            await socket.send_json({"type": "welcome", "name": member})
            while True:
                await _take(socket, member, voice)
        finally:
            self._sockets[member].discard(socket)
            if not self._sockets[member]:
                del self._sockets[member]
            for channel_id in list(voice):
                await _move(member, Voice(type="voice", channel_id=channel_id, joined=False), voice)


async def _said_hello(socket: WebSocket) -> str | None:
    try:
        async with asyncio.timeout(_HELLO_WITHIN_S):
            hello = _hello.validate_json(await socket.receive_text())
    except (TimeoutError, ValidationError, KeyError):
        return None
    member = await asyncio.to_thread(store.member_of, hello.token)
    if member is None:
        _log.warning("Unauthorized: no session")
    return member


async def _take(socket: WebSocket, member: str, voice: set[str]) -> None:
    """One message of this client."""
    try:
        message = _message.validate_json(await socket.receive_text())
    except (ValidationError, KeyError):
        # A binary frame has no text. What was wrong with it is for the client; the words in it are for nobody.
        _log.info("Message refused")
        await socket.send_json({"type": "error", "reason": "expected a message of type dm, channel or voice"})
        return
    match message:
        case Voice():
            await _move(member, message, voice)
        case DirectMessage():
            stored = await asyncio.to_thread(database.add_message, member, message.text, recipient=message.to)
            await _pass_on(message.type, stored, [message.to, member])
        case ChannelMessage():
            stored = await asyncio.to_thread(database.add_message, member, message.text, channel_id=message.channel_id)
            await _pass_on(message.type, stored, None)


async def _pass_on(kind: Literal["dm", "channel"], stored: database.Message, to: list[str] | None) -> None:
    await store.publish({"to": to, "message": {"type": kind, **stored.shown()}})
    processed[kind].inc()


async def _move(member: str, move: Voice, voice: set[str]) -> None:
    """Into a voice channel, or out of it; saying it twice changes nothing."""
    if move.joined == (move.channel_id in voice):
        return
    participants = monitor.voice_participants(move.channel_id)
    if move.joined:
        voice.add(move.channel_id)
        participants.joined()
        await asyncio.to_thread(store.enter_voice, move.channel_id, member)
    else:
        voice.discard(move.channel_id)
        participants.left()
        await asyncio.to_thread(store.leave_voice, move.channel_id, member)


gateway = Gateway()
