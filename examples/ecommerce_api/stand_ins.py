"""Stands for Claude, Slack and Gorgias on this machine: answers as they do, fails as they do, and is slow for a while.

`uvicorn ecommerce_api.stand_ins:app`
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

GORGIAS_SLOW_FIRST_S = 15.0
"""When Gorgias first becomes slow, in seconds after the start: late enough for a chart of calm before it."""
GORGIAS_SLOW_LASTS_S = 20.0
GORGIAS_SLOW_EVERY_S = 240.0
GORGIAS_SLOW_TAKES_S = 9.0

app = FastAPI(title="Stand-ins")
_started_s = float(os.environ.get("TRACKSIDE_DEMO_STARTED", time.time()))
_random = random.Random(5)


def gorgias_is_slow(running_s: float) -> bool:
    """Whether Gorgias is slow at this many seconds after the start."""
    return running_s >= GORGIAS_SLOW_FIRST_S and (
        (running_s - GORGIAS_SLOW_FIRST_S) % GORGIAS_SLOW_EVERY_S < GORGIAS_SLOW_LASTS_S
    )


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/claude/v1/messages")
async def claude(request: Request) -> JSONResponse:
    asked = await request.json()
    await asyncio.sleep(_random.uniform(0.1, 0.5))
    chance = _random.random()
    if chance < 0.06:
        return _claude_error(529, "overloaded_error", "Overloaded")
    if chance < 0.12:
        return _claude_error(429, "rate_limit_error", "This request would exceed your rate limit")
    text = "They order less often than they used to. A personal note would help more than a discount."
    # Rounded to what a token is on average: four characters.
    tokens = {"input_tokens": len(json.dumps(asked["messages"])) // 4, "output_tokens": len(text) // 4}
    cached = {"cache_read_input_tokens": len(asked.get("system", "")) // 4, "cache_creation_input_tokens": 0}
    return JSONResponse(
        {
            "id": f"msg_{_random.randrange(10**9)}",
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {**tokens, **cached},
        }
    )


@app.post("/slack/api/chat.postMessage")
async def slack() -> dict[str, Any]:
    await asyncio.sleep(_random.uniform(0.05, 0.2))
    if _random.random() < 0.15:
        return {"ok": False, "error": "ratelimited"}
    return {"ok": True, "ts": f"{time.time():.6f}"}


@app.get("/gorgias/api/tickets")
async def gorgias(customer_id: int) -> JSONResponse:
    if gorgias_is_slow(time.time() - _started_s):
        await asyncio.sleep(GORGIAS_SLOW_TAKES_S)
    await asyncio.sleep(_random.uniform(0.02, 0.15))
    if _random.random() < 0.03:
        return JSONResponse({"error": {"msg": "Bad gateway"}}, 502)
    tickets = [{"id": number, "subject": f"Where is order {number}?"} for number in range(customer_id % 3)]
    return JSONResponse({"data": tickets})


def _claude_error(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status)
