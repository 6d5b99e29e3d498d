"""Consumers: each gets the samples of one user over a WebSocket, chunk by chunk, at its own pace."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import WebSocket, WebSocketDisconnect, status

from ingestion_server.ingestion import Ingestion, User
from ingestion_server.monitoring import monitor

CHUNK = 100

# Here and not at the first connection, so that "no consumer" is a 0 and not a gap.
_connections = monitor.connections("consumer")


async def serve_consumer(socket: WebSocket, user_id: str, ingestion: Ingestion) -> None:
    """Until the consumer goes."""
    user = ingestion.user(user_id)
    if user.has_consumer:
        await socket.close(status.WS_1008_POLICY_VIOLATION, f"{user_id} has a consumer already")
        return
    user.has_consumer = True
    try:
        await socket.accept()
        with _connections.track():
            await _serve(socket, user)
    finally:
        user.has_consumer = False


async def _serve(socket: WebSocket, user: User) -> None:
    acknowledged = asyncio.Semaphore(0)
    # Reading all the time, not only after a chunk: else nobody would notice that a consumer went while it had nothing
    # to read.
    tasks = [
        asyncio.create_task(_read(socket, acknowledged)),
        asyncio.create_task(_hand_on(socket, user, acknowledged)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        with suppress(WebSocketDisconnect):
            task.result()


async def _read(socket: WebSocket, acknowledged: asyncio.Semaphore) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        acknowledged.release()


async def _hand_on(socket: WebSocket, user: User, acknowledged: asyncio.Semaphore) -> None:
    while True:
        chunk = await user.buffer.oldest(CHUNK)
        await socket.send_json({"samples": [sample.model_dump() for sample in chunk]})
        await acknowledged.acquire()
        user.buffer.remove(len(chunk))
