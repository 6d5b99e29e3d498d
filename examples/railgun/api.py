"""The service: `uvicorn railgun.api:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, WebSocket
from pydantic import BaseModel, Field

from railgun import accounts, database, incidents
from railgun.accounts import Me
from railgun.monitoring import monitor
from railgun.sockets import Name, gateway
from railgun.store import store

CHANNELS = ("general", "releases", "help", "random")
VOICE_CHANNELS = ("lobby", "standup", "music")

Limit = Annotated[int, Query(ge=1, le=100)]
_recent = monitor.cache("recent_messages")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(database.create_tables)
    delivering = asyncio.create_task(store.deliver_to(gateway.deliver))
    yield
    delivering.cancel()


app = FastAPI(title="Rail Gun", lifespan=_lifespan)
monitor.watch(app)
monitor.health.check("db", database.answers)
monitor.health.check("redis", store.answers)
_v1 = APIRouter(prefix="/api/v1")


class Credentials(BaseModel):
    name: Name
    password: Annotated[str, Field(min_length=8, max_length=200)]


@_v1.post("/auth/register", status_code=201)
def register(who: Credentials) -> dict[str, str]:
    if not accounts.register(who.name, who.password):
        raise HTTPException(409, "that name is taken")
    return {"name": who.name}


@_v1.post("/auth/login")
def log_in(who: Credentials) -> dict[str, str]:
    incidents.begin()
    return {"token": accounts.log_in(who.name, who.password)}


@_v1.get("/channels")
def channels(me: Me) -> dict[str, list[str]]:
    return {"text": list(CHANNELS), "voice": list(VOICE_CHANNELS)}


@_v1.get("/channels/{channel_id}/messages")
def channel_messages(channel_id: Name, me: Me, limit: Limit = 50) -> list[dict[str, Any]]:
    """The newest first."""
    _recent.found(messages := store.recent(channel_id))
    if messages is None:
        messages = database.channel_messages(channel_id, 100)
        store.remember(channel_id, messages)
    return messages[:limit]


@_v1.get("/dms/{name}")
def direct_messages(name: Name, me: Me, limit: Limit = 50) -> list[dict[str, Any]]:
    """Between that member and whoever asks, the newest first."""
    return database.direct_messages(me, name, limit)


@_v1.get("/search")
def search(q: Annotated[str, Query(min_length=2, max_length=100)], me: Me, limit: Limit = 20) -> list[dict[str, Any]]:
    """In what was said in channels."""
    if incidents.ERRORS.is_on_now():
        raise RuntimeError("the index that this release searches is not built yet")
    return database.found_messages(q, limit)


@_v1.get("/voice/{channel_id}")
def voice(channel_id: Name, me: Me) -> list[str]:
    """Who is in that voice channel."""
    return store.in_voice(channel_id)


app.include_router(_v1)


@app.websocket("/ws")
async def socket(socket: WebSocket) -> None:
    await gateway.serve(socket)
