"""What the jobs do. They know nothing of the queue they came by."""

from __future__ import annotations

import httpx
from openai import OpenAI

from luster.database import Image, Session
from luster.monitoring import cost_of, monitor, says_when_it_succeeds
from luster.png import drawn, halved
from luster.settings import MODEL, STORAGE_URL

# Whoever has a queue tries again by it, where it is seen.
model = monitor.watch(OpenAI(max_retries=0, timeout=10))
storage = monitor.watch(httpx.Client(base_url=STORAGE_URL, timeout=30))
monitor.name_integration("storage", storage.base_url.host)


class NoSuchImageError(Exception):
    """It was deleted, or never there."""


@says_when_it_succeeds
def render(image_id: int, width: int, height: int) -> None:
    """
    Raises:
        ValueError: an image without pixels.
        NoSuchImageError: there is none of this id.
    """
    with Session() as session:
        prompt = _image(session.get(Image, image_id), image_id).prompt
    # Drawn before the transaction begins: nobody waits for our pixels.
    png = drawn(prompt, width, height)
    with Session.begin() as session:
        _image(session.get(Image, image_id), image_id).png = png


@says_when_it_succeeds
def caption(image_id: int) -> float:
    """A sentence about an image, by the model; what it cost in dollars.

    Raises:
        openai.APIError: the model did not answer.
    """
    with Session() as session:
        prompt = _image(session.get(Image, image_id), image_id).prompt
    answer = model.chat.completions.create(
        model=MODEL,
        max_tokens=60,
        messages=[
            {"role": "system", "content": "Write one sentence for people who cannot see the image."},
            {"role": "user", "content": f"An image of: {prompt}"},
        ],
    )
    with Session.begin() as session:
        _image(session.get(Image, image_id), image_id).caption = answer.choices[0].message.content
    usage = answer.usage
    return 0.0 if usage is None else cost_of("caption", answer.model, usage.prompt_tokens, usage.completion_tokens)


@says_when_it_succeeds
def shrink(image_id: int) -> None:
    """
    Raises:
        NoSuchImageError: there is none of this id, or it has not been drawn.
    """
    with Session() as session:
        png = _image(session.get(Image, image_id), image_id).png
    if png is None:
        raise NoSuchImageError(f"image {image_id} has not been drawn yet")
    with Session.begin() as session:
        _image(session.get(Image, image_id), image_id).thumbnail = halved(png)


@says_when_it_succeeds
def export(image_id: int) -> None:
    """
    Raises:
        NoSuchImageError: there is none of this id.
        httpx.HTTPError: the storage did not take it.
    """
    with Session() as session:
        png = _image(session.get(Image, image_id), image_id).png
    storage.put(f"/images/{image_id}.png", content=png or b"").raise_for_status()


def _image(found: Image | None, image_id: int) -> Image:
    if found is None:
        raise NoSuchImageError(f"there is no image {image_id}")
    return found
