"""Stands for the subscriber to whom sessions are published: takes each key once, and is away for a while.

`uvicorn prompt_backend.stand_in:app`
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse

AWAY_FIRST_S = 15.0
"""When it is first away, in seconds after the start of the demo: late enough for a chart of calm before it."""
AWAY_LASTS_S = 20.0
AWAY_EVERY_S = 240.0

app = FastAPI(title="Subscriber")
_takes_s = float(os.environ.get("SUBSCRIBER_TAKES_SECONDS", "0"))
"""Beyond that, a little more each time."""
_started_s = float(os.environ.get("TRACKSIDE_DEMO_STARTED", "inf"))
_random = random.Random(5)
_received: Counter[str] = Counter()


def is_away(running_s: float) -> bool:
    """At this many seconds after the start."""
    return running_s >= AWAY_FIRST_S and (running_s - AWAY_FIRST_S) % AWAY_EVERY_S < AWAY_LASTS_S


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/sessions")
async def take(session: dict[str, Any], idempotency_key: Annotated[str, Header()]) -> JSONResponse:
    if is_away(time.time() - _started_s):
        return JSONResponse({"error": "maintenance"}, 503)
    # At once, before the answer that the publisher may not live to see.
    _received[idempotency_key] += 1
    await asyncio.sleep(_takes_s + _random.uniform(0.02, 0.2))
    return JSONResponse({"is_new": _received[idempotency_key] == 1})


@app.get("/received")
async def received() -> dict[str, int]:
    """By key, how often it came. What is done for a session is done when its key comes first."""
    return dict(_received)
