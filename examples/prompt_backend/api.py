"""The web server: creates sessions, and shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

from prompt_backend import database
from prompt_backend.monitoring import monitor
from prompt_backend.tasks import BackgroundTasks

_sessions = APIRouter()


class NewSession(BaseModel):
    prompt: Annotated[str, Field(min_length=1, max_length=20_000)]


@_sessions.post("/sessions", status_code=201)
def create_session(new: NewSession) -> dict[str, Any]:
    return database.create_session(new.prompt)


@_sessions.get("/sessions")
def sessions(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
    """The latest first."""
    return database.latest_sessions(limit)


@_sessions.get("/sessions/{id}")
def session(id: str) -> dict[str, Any]:
    found = database.session(id)
    if found is None:
        raise HTTPException(404, "there is no such session")
    return found


def application(tasks: BackgroundTasks, *, serves_sessions: bool) -> FastAPI:
    """Health and metrics in any case: whoever only runs background tasks must be seen too."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = tasks.running()
        await asyncio.to_thread(running.__enter__)
        try:
            yield
        finally:
            # They finish what they have in hands; requests that are under way need the loop meanwhile.
            await asyncio.to_thread(running.__exit__, None, None, None)

    app = FastAPI(title="Prompt backend", lifespan=lifespan)
    if serves_sessions:
        app.include_router(_sessions)
    monitor.watch(app)
    monitor.health.check("db", database.answers)
    return app
