"""A path under which the whole server is found: taken off what is asked for, and put before the links of the answers.

Pages and redirects lead from the root of the server, and only here is known where that is for those who look at them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markupsafe import escape
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# In a page nothing but our own tags has a quotation mark: those of texts are escaped.
_LINK = re.compile(rb' (href|src|action|formaction|data-refresh-url|data-icon)="/(?!/)')
_COOKIE_PATH = re.compile(r"(?i)(; *path=)/(?=;|$)")
# Made once for everybody and handed out compressed, the public page knows its own address.
_KNOWS_ITS_PLACE = "/status"


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


def with_links_under(prefix: str, app: ASGIApp) -> ASGIApp:
    """The application with `prefix` before the links of its pages, its redirects and the paths of its cookies.

    Not the same as the prefix that requests come with: a proxy may have taken that off.
    """
    if not prefix:
        return app

    async def linked(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path == _KNOWS_ITS_PLACE or path.startswith(_KNOWS_ITS_PLACE + "/"):
            await app(scope, receive, send)
        else:
            await app(scope, receive, _Answer(prefix, send).take)

    return linked


@dataclass(slots=True)
class _Answer:
    prefix: str
    send: Send
    held: Message | None = None
    """The start of a page, until its length is known."""
    body: list[bytes] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            self._put_before(headers)
            if headers.get("content-type", "").startswith("text/html"):
                self.held = message
                return
        if self.held is None:
            await self.send(message)
            return
        self.body.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._send_page(self.held)

    def _put_before(self, headers: MutableHeaders) -> None:
        leads_to = headers.get("location", "")
        if leads_to.startswith("/") and not leads_to.startswith("//"):
            headers["location"] = self.prefix + leads_to
        cookies = headers.getlist("set-cookie")
        if cookies:
            del headers["set-cookie"]
        for cookie in cookies:
            headers.append("set-cookie", _COOKIE_PATH.sub(lambda found: f"{found[1]}{self.prefix}/", cookie))

    async def _send_page(self, start: Message) -> None:
        before = str(escape(self.prefix)).encode()
        page = _LINK.sub(lambda found: b' %b="%b/' % (found[1], before), b"".join(self.body))
        MutableHeaders(scope=start)["content-length"] = str(len(page))
        await self.send(start)
        await self.send({"type": "http.response.body", "body": page})
