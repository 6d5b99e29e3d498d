"""The service: `uvicorn luster.api:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import openai
from fastapi import Body, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from luster import queues
from luster.database import Image, Session, answers, create_tables
from luster.monitoring import monitor, queue_depth
from luster.settings import MODEL
from luster.work import model

_COUNT_EVERY_S = 2.0


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    create_tables()
    counting = asyncio.create_task(_count_now_and_then())
    yield
    counting.cancel()


async def _count_now_and_then() -> None:
    """Not when somebody scrapes: a database that hangs would then hang the page of metrics too."""
    while True:
        with suppress(SQLAlchemyError, RedisError):
            for queue, waiting in (await asyncio.to_thread(queues.depths)).items():
                queue_depth.labels(queue).set(waiting)
        await asyncio.sleep(_COUNT_EVERY_S)


app = FastAPI(title="Luster", lifespan=_lifespan)
monitor.watch(app)
monitor.health.check("db", answers)
monitor.health.check("redis", queues.redis_answers)


class Wish(BaseModel):
    prompt: str = Field(max_length=500)
    width: int = Field(256, le=1024)
    height: int = Field(256, le=1024)
    """No lower bound, and that is the mistake of this service: such an image fails in the worker, twice, and
    nobody tells whoever asked for it."""


@app.post("/images", status_code=202)
def create_image(wish: Wish) -> dict[str, int]:
    with Session.begin() as session:
        image = Image(prompt=wish.prompt)
        session.add(image)
        session.flush()
        payload = {"image_id": image.id, "width": wish.width, "height": wish.height}
        job = queues.enqueue_in(session, "render", payload)
        session.flush()
        return {"id": image.id, "job": job.id}


@app.get("/images")
def list_images(limit: int = 20) -> list[dict[str, Any]]:
    newest = select(Image.id, Image.prompt, Image.caption).order_by(Image.id.desc()).limit(min(limit, 100))
    with Session() as session:
        return [dict(row._mapping) for row in session.execute(newest)]


@app.get("/images/{image_id}.png")
def image_file(image_id: int) -> Response:
    with Session() as session:
        image = session.get(Image, image_id)
    if image is None or image.png is None:
        raise HTTPException(404, "not there, or not drawn yet")
    return Response(image.png, media_type="image/png")


def _drawn(image_ids: list[int]) -> list[int]:
    """Those of them that there is an image of."""
    with Session() as session:
        found = set(session.scalars(select(Image.id).where(Image.id.in_(image_ids), Image.png.is_not(None))))
    return [image_id for image_id in image_ids if image_id in found]


def _must_be_drawn(image_id: int) -> None:
    if not _drawn([image_id]):
        raise HTTPException(404, "not there, or not drawn yet")


@app.post("/images/{image_id}/captions", status_code=202)
def caption_again(image_id: int) -> dict[str, int]:
    _must_be_drawn(image_id)
    return {"jobs": queues.enqueue("caption", [{"image_id": image_id}])}


@app.post("/images/{image_id}/thumbnails", status_code=202)
def create_thumbnail(image_id: int) -> dict[str, int]:
    _must_be_drawn(image_id)
    return {"jobs": queues.enqueue("shrink", [{"image_id": image_id}])}


@app.post("/exports", status_code=202)
def export(image_ids: Annotated[list[int], Body(max_length=500)]) -> dict[str, int]:
    return {"jobs": queues.enqueue("export", [{"image_id": image_id} for image_id in _drawn(image_ids)])}


@app.post("/suggestions")
def suggest(words: Annotated[str, Body(max_length=200)]) -> dict[str, str | None]:
    """A prompt, written by the model while the customer waits."""
    answer = model.chat.completions.create(
        model=MODEL,
        max_tokens=200,
        messages=[{"role": "user", "content": f"Suggest an image, in a few sentences, about: {words}"}],
    )
    return {"prompt": answer.choices[0].message.content}


@app.exception_handler(openai.APIError)
def model_failed(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"the model did not answer: {error}"}, 502)
