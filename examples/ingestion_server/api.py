"""The server: `uvicorn ingestion_server.api:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Path, WebSocket
from sqlalchemy import desc, select

from ingestion_server import database
from ingestion_server.consumers import serve_consumer
from ingestion_server.ingestion import Ingestion, Relay
from ingestion_server.monitoring import monitor
from ingestion_server.relays import serve_relay
from ingestion_server.settings import FORGET_AFTER_S
from ingestion_server.writer import Writer, write_until

Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")]

_writers = Writer(database.samples), Writer(database.sessions)
_ingestion = Ingestion(*_writers)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    database.create_tables()
    stopping = asyncio.Event()
    writing = asyncio.create_task(write_until(stopping, _writers))
    forgetting = asyncio.create_task(_forget_now_and_then())
    yield
    forgetting.cancel()
    stopping.set()
    await writing


async def _forget_now_and_then() -> None:
    while True:
        await asyncio.sleep(FORGET_AFTER_S / 10)
        _ingestion.forget_idle()


app = FastAPI(title="Ingestion server", lifespan=_lifespan)
monitor.watch(app)
monitor.health.check("db", database.answers)


@app.websocket("/relays/{name}")
async def relay(socket: WebSocket, name: Name) -> None:
    await serve_relay(socket, Relay(name), _ingestion)


@app.websocket("/consumers/{user_id}")
async def consumer(socket: WebSocket, user_id: Name) -> None:
    await serve_consumer(socket, user_id, _ingestion)


@app.get("/users/{user_id}/sessions")
def sessions(user_id: Name, limit: int = 20) -> list[dict[str, Any]]:
    """Those that ended, the last one first."""
    table = database.sessions
    wanted = select(table).where(table.c.user_id == user_id).order_by(desc(table.c.ended_at)).limit(min(limit, 100))
    with database.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


@app.get("/sessions/{session_id}/samples")
def samples(session_id: Name, limit: int = 100) -> list[dict[str, Any]]:
    """The first ones."""
    table = database.samples
    wanted = (
        select(table.c.at, table.c.value)
        .where(table.c.session_id == session_id)
        .order_by(table.c.at)
        .limit(min(limit, 1_000))
    )
    with database.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]
