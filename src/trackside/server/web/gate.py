"""The door of the server: who asks, what they may, and what every answer says to the browser."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trackside.server.access.addresses import is_within
from trackside.server.access.admission import Admission, Refusal
from trackside.server.access.roles import EVERYBODY, Identity, Role
from trackside.server.web.origin import client_of, names_loopback, same_origin

COOKIE = "trackside_session"
TOKEN_COOKIE = "trackside_token"
"""A token of the identity provider, as it is: it says itself when it is over."""
OPEN_PATHS = frozenset(
    ("/login", "/health", "/health/live", "/health/ready", "/-/healthy", "/-/ready", "/favicon.ico", "/robots.txt")
)
OPEN_PREFIXES = ("/static/", "/ping/")
# Jobs tell that they live from wherever they run, and the key in the address is what they need for it.
FROM_ANYWHERE = ("/ping/",)
# What answers programs. The other addresses under /admin are pages.
API_PREFIXES = ("/api/", "/-/", "/metrics", "/admin/health", "/admin/workers", "/admin/jobs/", "/admin/metrics")
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
# POST to these asks, and changes nothing.
READING_POSTS = frozenset(
    f"/api/v1/{name}"
    for name in (
        "query",
        "query_range",
        "series",
        "labels",
        "format_query",
        "parse_query",
        "rules/backtest",
        "rules/lint",
    )
) | {"/alerts/rules/backtest"}
_HEADERS = {
    # Everything the pages need comes from here, and nothing stands in the pages themselves.
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    # A login link carries a key: no page we link to may learn it.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def nothing_more(path: str) -> bool:
    return False


class Gate:
    """ASGI middleware. Leaves in `request.state` the `identity`, and as `user` the name of who logged in."""

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        external_url: str,
        *,
        no_auth: bool,
        published: Callable[[str], bool] = nothing_more,
    ) -> None:
        """`published`: whether everybody may see what is at this path, wherever they come from."""
        self._app, self._admission, self._published = app, admission, published
        self._external_url, self._no_auth = external_url, no_auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                request = Request(scope)
                refusal = self._from_elsewhere(request)
                identity = None if refusal is not None else await self._identity(request)
                refusal = refusal or self._refusal(request, identity)
                _introduce(scope, identity if isinstance(identity, Identity) else None)
                answer = refusal if refusal is not None else self._app
                await answer(scope, receive, _with_headers(scope, send))
            case "websocket":
                await send({"type": "websocket.close", "code": 1008})
            case _:
                await self._app(scope, receive, send)

    def _from_elsewhere(self, request: Request) -> Response | None:
        allowed = self._admission.auth.allow_from
        # Orchestrators and uptime probes come from where they like.
        path = request.scope["path"]
        if not allowed or path in OPEN_PATHS - {"/login"} or path.startswith(FROM_ANYWHERE) or self._published(path):
            return None
        client = self.client(request)
        if is_within(client, allowed):
            return None
        return problem(f"{client} is not among the addresses that may ask: auth.allow_from", 403)

    def client(self, request: Request) -> str:
        return client_of(request, self._admission.auth.trusted_proxies)

    async def _identity(self, request: Request) -> Identity | Refusal | None:
        """None: nobody in particular."""
        if self._no_auth:
            return EVERYBODY
        # A key says more clearly than a cookie who is meant; browsers send that along with everything.
        key = key_in(request.headers)
        if key is not None:
            return await self._admission.enter(key, self.client(request))
        cookie = request.cookies.get(COOKIE)
        found = None if cookie is None else self._admission.keys.session(cookie)
        token = request.cookies.get(TOKEN_COOKIE)
        if found is None and token is not None and self._admission.tokens is not None:
            found = await self._admission.tokens.identity(token)
            found = None if found is None else replace(found, by_cookie=True)
        return found

    def _refusal(self, request: Request, identity: Identity | Refusal | None) -> Response | None:
        # Not `request.url.path`: it is put together from the Host header too, in which anything may stand.
        path = request.scope["path"]
        if self._no_auth and not names_loopback(request.headers.get("host", "")):
            # Another site's name that leads to this machine would otherwise give its scripts the whole server.
            return problem("without authentication, only loopback names such as localhost are answered", 403)
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES) or self._published(path):
            return None
        if not isinstance(identity, Identity):
            return _ask_for_key(request, identity)
        if request.method in _SAFE_METHODS or path in READING_POSTS:
            return None
        return self._refused_write(request, identity)

    def _refused_write(self, request: Request, identity: Identity) -> Response | None:
        # Browsers send cookies, remembered passwords and what comes from this machine along with the requests of any
        # site; other programs say nothing of where a request comes from.
        own = same_origin(request, self._external_url)
        if own is False or (own is None and identity.by_cookie):
            return problem("this request did not come from a page of this server", 403)
        if request.scope["path"] != "/logout" and not identity.role.allows(Role.OPERATOR):
            return problem(f"the key {identity.name!r} may look, but not change anything", 403)
        return None


def problem(reason: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error as the Prometheus API writes it."""
    kinds = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}
    content = {"status": "error", "errorType": kinds.get(status, "bad_data"), "error": reason}
    return JSONResponse(content, status, headers=headers)


def key_in(headers: Headers) -> str | None:
    """The key of a Bearer header, or the password of a Basic one; "" when there is no making sense of it."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _introduce(scope: Scope, identity: Identity | None) -> None:
    state = scope.setdefault("state", {})
    state["identity"] = identity
    state["user"] = identity.name if identity is not None and identity.by_cookie else None


def _ask_for_key(request: Request, refusal: Refusal | None) -> Response:
    if refusal is not None and refusal.wait_s:
        headers = {"retry-after": str(refusal.wait_s)}
        return problem(f"too many wrong keys: try again in {refusal.wait_s} s", 429, headers)
    path = request.scope["path"]
    refreshing = request.headers.get("hx-request") == "true"
    if refusal is not None or refreshing or path.startswith(API_PREFIXES) or request.method not in _SAFE_METHODS:
        reason = "a key is needed: send it as 'Authorization: Bearer KEY'"
        reason = reason if refusal is None else "this is no key of this server"
        return problem(reason, 401, {"www-authenticate": 'Bearer realm="trackside"'})
    query = request.scope["query_string"].decode("latin-1")
    wanted = path + (f"?{query}" if query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}" if wanted != "/" else "/login", 303)


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
