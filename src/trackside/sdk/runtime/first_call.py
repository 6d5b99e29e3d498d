"""What has to wait until an application runs: its event loop is not there before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


class FirstCall:
    """Stands before the application of a middleware until it is called, and then steps aside."""

    def __init__(self, middleware: Any, start: Callable[[], None]) -> None:
        self.app = middleware.app
        self._middleware = middleware
        self._start: Callable[[], None] | None = start
        middleware.app = self

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        start, self._start = self._start, None
        if start is not None:
            # Unless another layer has been put around it, where it stays and costs a call.
            if self._middleware.app is self:
                self._middleware.app = self.app
            start()
        answer: Awaitable[None] = self.app(scope, receive, send)
        return answer
