"""Who answers a path of ours, the application or we: its own routes win."""

from __future__ import annotations

from trackside.sdk.endpoints import Response
from trackside.sdk.middleware.answers import Headers
from trackside.sdk.watch.context import Owns, WatchContext


class Door:
    """The endpoints as one application shows them."""

    def __init__(self, context: WatchContext, owns: Owns) -> None:
        self._endpoints = context.endpoints
        self._guard = context.guard
        self._owns = owns
        self._ours: dict[str, bool] = {}
        self.paths = context.endpoints.paths

    async def answer(self, method: str, path: str, headers: Headers) -> Response | None:
        if path not in self.paths or not self._is_ours(path):
            return None
        return await self._endpoints.answer(method, path, headers)

    def answer_sync(self, method: str, path: str, headers: Headers) -> Response | None:
        if path not in self.paths or not self._is_ours(path):
            return None
        return self._endpoints.answer_sync(method, path, headers)

    def _is_ours(self, path: str) -> bool:
        # Asked at the first request, when the application has declared its routes, and then kept.
        ours = self._ours.get(path)
        if ours is None:
            ours = True
            with self._guard.shielded("look up the routes of the application"):
                ours = not self._owns(path.removesuffix("/"))
            self._ours[path] = ours
        return ours
