"""The bodies of requests, in bounded size: who sends one says what it is, and not how long it gets."""

from __future__ import annotations

from starlette.requests import Request

from trackside.exceptions import LimitError


async def body_of(request: Request, max_bytes: int, what: str = "body", advice: str = "") -> bytes:
    """`what` it is called, and what to do about it, where it is refused.

    Raises:
        LimitError: it is longer; the rest of it is not read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise LimitError(f"the {what} is longer than {max_bytes:,} bytes{advice and f': {advice}'}")
    return bytes(body)
