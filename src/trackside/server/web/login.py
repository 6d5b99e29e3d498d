"""Logging in and out."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.access.admission import Admission, Refusal
from trackside.server.access.sessions import LIFETIME_MS
from trackside.server.access.tokens import looks_like_token
from trackside.server.web import render
from trackside.server.web.forms import form_of
from trackside.server.web.gate import COOKIE, TOKEN_COOKIE
from trackside.server.web.origin import client_of, local_path


@dataclass(frozen=True, slots=True)
class LoginPages:
    admission: Admission

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
        return render.login_page("", next_path) if key is None else await self._enter(request, key, next_path)

    async def submit(self, request: Request) -> Response:
        form = await form_of(request)
        return await self._enter(request, form.get("key", ""), local_path(form.get("next", "/")))

    async def leave(self, request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        for cookie in (COOKIE, TOKEN_COOKIE):
            response.delete_cookie(cookie, httponly=True, samesite="lax")
        return response

    async def _enter(self, request: Request, key: str, next_path: str) -> Response:
        key = key.strip()
        identity = await self.admission.enter(key, client_of(request, self.admission.auth.trusted_proxies))
        if isinstance(identity, Refusal):
            return _refused(identity, next_path)
        response = RedirectResponse(next_path, 303)
        # Whom a provider knows has no key of ours that a session could be tied to: the token is the session.
        is_token = self.admission.tokens is not None and looks_like_token(key)
        response.set_cookie(
            TOKEN_COOKIE if is_token else COOKIE,
            key if is_token else self.admission.keys.open_session(identity),
            max_age=LIFETIME_MS // 1_000,
            httponly=True,
            samesite="lax",
            secure=_encrypted(request),
        )
        return response


def _refused(refusal: Refusal, next_path: str) -> Response:
    if not refusal.wait_s:
        return render.login_page("That is no key of this server.", next_path, 403)
    page = render.login_page(f"Too many wrong keys. Try again in {refusal.wait_s} s.", next_path, 429)
    page.headers["retry-after"] = str(refusal.wait_s)
    return page


def _encrypted(request: Request) -> bool:
    # Whoever invents the header gets a cookie that their own browser does not send back: it harms nobody else.
    forwarded = request.headers.get("x-forwarded-proto", "").lower().partition(",")[0].strip()
    return "https" in (request.scope["scheme"], forwarded)
