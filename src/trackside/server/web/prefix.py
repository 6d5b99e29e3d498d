"""A path under which the whole server is found, as behind a proxy that does not take it off."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def under(prefix: str, app: ASGIApp) -> ASGIApp:
    """The application with `prefix` ("/monitoring", without a slash at its end; "": as it is) before its paths."""
    if not prefix:
        return app

    async def prefixed(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or path.startswith(prefix + "/"):
            inner = scope if scope["type"] == "lifespan" else {**scope, "path": path.removeprefix(prefix)}
            if "raw_path" in inner and inner["raw_path"] is not None:
                inner["raw_path"] = inner["raw_path"].removeprefix(prefix.encode())
            await app(inner, receive, send)
        elif path in ("/", prefix):
            await RedirectResponse(prefix + "/", 302)(scope, receive, send)
        else:
            await PlainTextResponse(f"everything is under {prefix}/\n", 404)(scope, receive, send)

    return prefixed
