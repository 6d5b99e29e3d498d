"""The status page under a host name of its own, where nothing else of this server is to be seen."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trackside.server.web.status.address import PATH


class StatusDomain:
    """ASGI middleware, before the gate."""

    def __init__(
        self, app: ASGIApp, domain: Callable[[], str], published: Callable[[str], bool], elsewhere: ASGIApp
    ) -> None:
        """`domain`: the host name, "" for none. `elsewhere`: what answers under any other."""
        self._app, self._domain, self._published, self._elsewhere = app, domain, published, elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        domain = self._domain()
        if scope["type"] != "http" or not domain or _host(scope) != domain:
            await self._elsewhere(scope, receive, send)
            return
        path: str = scope["path"]
        if not path.startswith("/static/"):
            path = PATH if path == "/" else PATH + path.removeprefix(PATH)
            if not self._published(path):
                await PlainTextResponse("There is no such page.\n", 404)(scope, receive, send)
                return
        state = {**scope.get("state", {}), "status_domain": domain}
        await self._app({**scope, "path": path, "raw_path": path.encode(), "state": state}, receive, send)


def _host(scope: Scope) -> str:
    host = Headers(scope=scope).get("host", "")
    return host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
