"""Where a request comes from, and where an answer may lead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request

from trackside.server.access.addresses import address_of
from trackside.server.access.config import Network

MAX_NEXT_CHARS = 2_000
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.I | re.A)


def client_of(request: Request, trusted_proxies: Sequence[Network] = ()) -> str:
    """The address of whoever asks, seen through the proxies that are trusted."""
    peer = request.client.host if request.client is not None else "unknown"
    return address_of(peer, request.headers.get("x-forwarded-for", ""), trusted_proxies)


def names_loopback(host: str) -> bool:
    """Whether a Host header names this machine itself."""
    return _LOOPBACK.fullmatch(host) is not None


def same_origin(request: Request, external_url: str) -> bool | None:
    """Whether the browser says that the request comes from this server's own pages; None: nothing says so or otherwise.

    `external_url` is one more name of this server: a proxy may hand on another one than the browser knows.
    """
    # Browsers tell it themselves, whatever proxies do to names; only old ones, and pages without TLS, leave it out.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin") or request.headers.get("referer")
    if origin is None:
        return None
    return _netloc(origin) in {request.headers.get("host"), _netloc(external_url)} - {None, ""}


def local_path(path: str) -> str:
    """`path` when it leads to a page of this server, else "/": a login must not end on somebody else's site."""
    if not path.startswith("/") or path.startswith(("//", "/login", "/logout")) or len(path) > MAX_NEXT_CHARS:
        return "/"
    # Browsers read \ as / and leave out control characters: /\evil.example and /<tab>/evil.example lead away.
    return "/" if any(char <= " " or char in "\\\x7f" for char in path) else path


def _netloc(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None
