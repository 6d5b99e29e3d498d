"""Stands for OpenAI and for a storage on this machine: answers as they do, fails as they do, and is slow for a while.

`uvicorn luster.stand_ins:app`
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

TROUBLE_FIRST_S = float(os.environ.get("TROUBLE_FIRST_SECONDS", "15"))
"""When it begins, in seconds after the start: late enough for a chart of calm before it."""
TROUBLE_LASTS_S = 25.0
TROUBLE_EVERY_S = 240.0
GIVES_UP_AFTER_S = 2.5
SHORT = 80
"""Tokens: an answer so short is refused at once, a longer one after a while."""
UPLOAD_TAKES_S = 2.0

app = FastAPI(title="Stand-ins")
_started_s = float(os.environ.get("TRACKSIDE_DEMO_STARTED", time.time()))
_random = random.Random(8)


def is_trouble(running_s: float) -> bool:
    """Whether the model fails and the storage is slow, at this many seconds after the start."""
    return running_s >= TROUBLE_FIRST_S and (running_s - TROUBLE_FIRST_S) % TROUBLE_EVERY_S < TROUBLE_LASTS_S


def _is_trouble_now() -> bool:
    return is_trouble(time.time() - _started_s)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/chat/completions")
async def complete(request: Request) -> JSONResponse:
    asked = await request.json()
    if _is_trouble_now():
        await asyncio.sleep(GIVES_UP_AFTER_S if asked["max_tokens"] > SHORT else 0)
        return _error(503, "server_error", "The server is overloaded")
    await asyncio.sleep(_random.uniform(0.05, 0.3))
    if _random.random() < 0.03:
        return _error(429, "rate_limit_exceeded", "Rate limit reached")
    text = "Bands of soft colour run across the frame, as if somebody had hung the evening out to dry."
    # A token is four characters on average.
    prompt, completion = len(json.dumps(asked["messages"])) // 4, len(text) // 4
    return JSONResponse(
        {
            "id": f"chatcmpl-{_random.randrange(10**9)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked["model"],
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"},
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }
    )


@app.put("/storage/images/{name}")
async def store(name: str, request: Request) -> Response:
    await request.body()
    await asyncio.sleep(UPLOAD_TAKES_S if _is_trouble_now() else _random.uniform(0.01, 0.05))
    return Response(status_code=201)


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": code, "param": None, "code": code}}, status)
