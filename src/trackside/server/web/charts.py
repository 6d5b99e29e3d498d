"""`/charts/<id>.png`: a picture out of a notification, for everybody who was given its address."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.server.charts.gallery import PATH, SUFFIX, Gallery

WINDOW_MS = 10_000
MOST_IN_WINDOW = 500
"""Pictures. What a chat fetches, it keeps; a server that is asked more often serves somebody's joke."""
_HEADERS = {
    # It never changes but with a repeated attempt, and chats ask again for each reader.
    "cache-control": "public, max-age=86400",
    # Chats of one's own show it in their pages.
    "cross-origin-resource-policy": "cross-origin",
    "x-robots-tag": "noindex",
}


class ChartRoutes:
    """Lives on the event loop."""

    def __init__(self, gallery: Gallery, now_ms: Callable[[], int]) -> None:
        self._gallery, self._now_ms = gallery, now_ms
        self._window_ms = 0
        self._served = 0

    def routes(self) -> list[BaseRoute]:
        return [Route(f"{PATH}{{signed}}{SUFFIX}", self.show, methods=["GET"])]

    @staticmethod
    def published(path: str) -> bool:
        """Whether everybody may ask for what is at this path; what is not signed is not found."""
        return path.startswith(PATH)

    async def show(self, request: Request) -> Response:
        name = self._gallery.checked(request.path_params["signed"])
        # Only what is signed counts: who guesses takes nothing away from those who do not have to.
        wait_s = 0 if name is None else self._wait_s()
        if wait_s:
            return Response("Too many pictures at once.\n", 429, {"retry-after": str(wait_s)}, "text/plain")
        png = None if name is None else await run_in_threadpool(self._gallery.find, name)
        if png is None:
            # The same for a forged name, an old one, and a picture that is gone.
            return Response("There is no such chart.\n", 404, media_type="text/plain")
        headers = {**_HEADERS, "etag": f'"{blake2b(png, digest_size=12).hexdigest()}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(png, headers=headers, media_type="image/png")

    def _wait_s(self) -> int:
        """How long to wait; 0: not at all."""
        now_ms = self._now_ms()
        if not 0 <= now_ms - self._window_ms < WINDOW_MS:
            self._window_ms, self._served = now_ms, 0
        self._served += 1
        return 0 if self._served <= MOST_IN_WINDOW else 1 + (self._window_ms + WINDOW_MS - now_ms) // 1_000
