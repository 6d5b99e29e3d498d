"""Logging in and out."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.access.keys import Keys
from trackside.server.access.sessions import LIFETIME_MS
from trackside.server.access.throttle import Throttle
from trackside.server.clock import Clock
from trackside.server.web import render
from trackside.server.web.forms import form_of
from trackside.server.web.gate import COOKIE, client_of, local_path


@dataclass(frozen=True, slots=True)
class LoginPages:
    keys: Keys
    clock: Clock
    throttle: Throttle

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.submit, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form; with `?key=…`, as in the link that the server prints, the login itself."""
        next_path = local_path(request.query_params.get("next", "/"))
        key = request.query_params.get("key")
        return render.login_page("", next_path) if key is None else self._enter(request, key, next_path)

    async def submit(self, request: Request) -> Response:
        form = await form_of(request)
        return self._enter(request, form.get("key", ""), local_path(form.get("next", "/")))

    async def leave(self, request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    def _enter(self, request: Request, key: str, next_path: str) -> Response:
        client, now_ms = client_of(request), self.clock.now_ms()
        if wait_ms := self.throttle.blocked_ms(client, now_ms):
            seconds = -(-wait_ms // 1_000)
            page = render.login_page(f"Too many wrong keys. Try again in {seconds} s.", next_path, 429)
            page.headers["retry-after"] = str(seconds)
            return page
        identity = self.keys.identify(key.strip())
        if identity is None:
            self.throttle.failed(client, now_ms)
            return render.login_page("That is no key of this server.", next_path, 403)
        response = RedirectResponse(next_path, 303)
        response.set_cookie(
            COOKIE,
            self.keys.open_session(identity),
            max_age=LIFETIME_MS // 1_000,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response
