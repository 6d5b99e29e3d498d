"""The door of the server: who asks, what they may, and what every answer says to the browser."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from urllib.parse import quote, urlsplit

from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trackside.server.access.keys import Keys
from trackside.server.access.roles import EVERYBODY, Identity, Role
from trackside.server.access.throttle import Throttle
from trackside.server.clock import Clock

COOKIE = "trackside_session"
OPEN_PATHS = frozenset(
    ("/login", "/health", "/health/live", "/health/ready", "/-/healthy", "/-/ready", "/favicon.ico", "/robots.txt")
)
OPEN_PREFIXES = ("/static/",)
API_PREFIXES = ("/api/", "/-/", "/metrics")
# POST to these asks, and changes nothing.
READING_POSTS = frozenset(
    f"/api/v1/{name}" for name in ("query", "query_range", "series", "labels", "format_query", "parse_query")
)
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.I)
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    # A login link carries a key: no page we link to may learn it.
    "referrer-policy": "same-origin",
}


class Gate:
    """ASGI middleware. Leaves the identity in `request.state.identity`."""

    def __init__(self, app: ASGIApp, keys: Keys, clock: Clock, *, no_auth: bool) -> None:
        self._app, self._keys, self._clock = app, keys, clock
        self._no_auth = no_auth
        self._throttle = Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        identity = self._identity(request)
        refusal = self._refusal(request, identity)
        scope.setdefault("state", {})["identity"] = identity
        answer = refusal if refusal is not None else self._app
        await answer(scope, receive, _with_headers(scope, send))

    def _identity(self, request: Request) -> Identity | None:
        if self._no_auth:
            return EVERYBODY
        if (cookie := request.cookies.get(COOKIE)) is not None and (found := self._keys.session(cookie)) is not None:
            return found
        key = key_in(request.headers)
        if key is None:
            return None
        client, now_ms = client_of(request), self._clock.now_ms()
        if self._throttle.blocked_ms(client, now_ms):
            return None
        found = self._keys.identify(key)
        if found is None:
            self._throttle.failed(client, now_ms)
        return found

    def _refusal(self, request: Request, identity: Identity | None) -> Response | None:
        path = request.url.path
        if self._no_auth and not _LOOPBACK.fullmatch(request.headers.get("host", "")):
            # Another site's name that leads to this machine would otherwise give its scripts the whole server.
            return problem("without authentication, only loopback names such as localhost are answered", 403)
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            return None
        if identity is None:
            return self._ask_to_log_in(request)
        if request.method in ("GET", "HEAD", "OPTIONS") or path in READING_POSTS:
            return None
        if identity.by_cookie and not same_origin(request):
            return problem("this request did not come from a page of this server", 403)
        if path != "/logout" and not identity.role.allows(Role.OPERATOR):
            return problem(f"the key {identity.name!r} may look, but not change anything", 403)
        return None

    def _ask_to_log_in(self, request: Request) -> Response:
        path = request.url.path
        if path.startswith(API_PREFIXES):
            reason = "a key is needed: send it as 'Authorization: Bearer KEY'"
            return problem(reason, 401, {"www-authenticate": 'Bearer realm="trackside"'})
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}" if wanted != "/" else "/login", 303)


def problem(reason: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error as the Prometheus API writes it."""
    kinds = {401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "bad_data"}
    content = {"status": "error", "errorType": kinds.get(status, "bad_data"), "error": reason}
    return JSONResponse(content, status, headers=headers)


def key_in(headers: Headers) -> str | None:
    """The key of a Bearer header, or the password of a Basic one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def client_of(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def same_origin(request: Request) -> bool:
    """Whether the browser says that the request comes from this server's own pages."""
    origin = request.headers.get("origin") or request.headers.get("referer")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def local_path(path: str) -> str:
    """`path` when it leads to a page of this server, else "/": a login must not end on somebody else's site."""
    if not path.startswith("/") or path.startswith(("//", "/\\", "/login", "/logout")):
        return "/"
    if any(ord(char) < 0x20 or char == "\\" for char in path) or URL(path).netloc:
        return "/"
    return path


def _with_headers(scope: Scope, send: Send) -> Send:
    static = scope["path"].startswith("/static/")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if not static:
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
