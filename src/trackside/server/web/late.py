"""Routes whose modules are loaded when somebody asks for them: at many servers nobody ever looks.

Those of programs are not among them: who pushes an alert at once must not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

Load = Callable[[], Sequence[BaseRoute]]


class LateRoutes:
    """What a router turns to when none of its routes fits: gives it the rest of them, and lets it look again."""

    def __init__(self, router: Router, load: Load) -> None:
        """`load`: called once, on a thread."""
        self._router, self._load = router, load
        self._nobody = router.default
        self._lock = asyncio.Lock()
        router.default = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._lock:
            # Others who waited here for the same may have it by now.
            if self._router.default is self:
                # On a thread: targets go on being scraped meanwhile.
                self._router.routes.extend(await asyncio.to_thread(self._load))
                self._router.default = self._nobody
        await self._router.app(scope, receive, send)
