"""`/status`: made once when something has changed, and then handed out as it is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.server.status.book import StatusBook
from trackside.server.web.render import asset
from trackside.server.web.status.address import PATH
from trackside.server.web.status.files import File, files
from trackside.server.web.status.page import Place

CACHE = "public, max-age=15, stale-while-revalidate=60"
_COMPRESSED = ("text/", "application/", "image/svg")
# Own names beside those of the files, as people write and link them.
_NAMES = {"": "index.html", "index.json": "status.json", "rss": "feed.atom"}


@dataclass(frozen=True, slots=True)
class _Made:
    body: bytes
    packed: bytes
    """With gzip; empty where that is no gain."""
    content_type: str
    etag: str


class StatusFiles:
    """What is handed out, each made at most once for each version of the page."""

    def __init__(self, book: StatusBook, external_url: str) -> None:
        self._book, self._external_url = book, external_url
        self._version = -1
        self._files: dict[str, dict[str, File]] = {}
        self._made: dict[tuple[str, str], _Made] = {}
        self._lock = Lock()
        self.renders_total = 0

    def file(self, name: str, host: str) -> _Made | None:
        """`host`: the domain of the page, where it was asked for under that; else "". On any thread."""
        with self._lock:
            return self._file(name, host)

    def _file(self, name: str, host: str) -> _Made | None:
        if self._version != self._book.version:
            self._version, self._files, self._made = self._book.version, {}, {}
        made = self._made.get((name, host))
        if made is not None:
            return made
        found = self._of(host).get(name)
        if found is None:
            return None
        body = found.made()
        self.renders_total += 1
        packed = gzip.compress(body, 6, mtime=0) if found.content_type.startswith(_COMPRESSED) else b""
        etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        made = _Made(body, packed if len(packed) < len(body) else b"", found.content_type, etag)
        self._made[name, host] = made
        return made

    def ready(self, name: str, host: str) -> bool:
        """Whether it is made already, and costs nothing."""
        return self._version == self._book.version and (name, host) in self._made

    def _of(self, host: str) -> dict[str, File]:
        if host not in self._files:
            self._files[host] = dict(files(self._book.view, self._place(host)))
        return self._files[host]

    def _place(self, host: str) -> Place:
        built = [asset(name) for name in ("status-style.css", "status.js", "icon.svg")]
        if host:
            return Place(f"https://{host}", "/", *built)
        below = urlsplit(self._external_url).path.rstrip("/")
        built = [below + path if path else "" for path in built]
        return Place(f"{self._external_url}{PATH}", f"{below}{PATH}/", *built)


class StatusRoutes:
    def __init__(self, files: StatusFiles, book: StatusBook, logo: Callable[[], tuple[bytes, str] | None]) -> None:
        self._files, self._book, self._logo = files, book, logo

    def routes(self) -> list[BaseRoute]:
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH + "/logo", self.logo, methods=["GET"]),
            Route(PATH + "/{name:path}", self.show, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        name = request.path_params.get("name", "")
        if not name and "application/json" in request.headers.get("accept", ""):
            name = "status.json"
        host = str(request.scope.get("state", {}).get("status_domain", ""))
        name = _NAMES.get(name, name)
        if self._files.ready(name, host):
            made = self._files.file(name, host)
        else:
            # A page of two hundred components takes long enough for others to notice.
            made = await run_in_threadpool(self._files.file, name, host)
        if made is None:
            return Response("There is no such page.\n", 404, media_type="text/plain")
        return self._answer(request, made)

    async def logo(self, request: Request) -> Response:
        found = self._logo()
        if found is None:
            return Response("There is no logo.\n", 404, media_type="text/plain")
        body, content_type = found
        # A picture may be a document with scripts in it, when it is opened by itself.
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        return Response(body, media_type=content_type, headers={"cache-control": CACHE, **headers})

    def _answer(self, request: Request, made: _Made) -> Response:
        headers = {"etag": made.etag, "vary": "Accept-Encoding, Accept", "access-control-allow-origin": "*"}
        # A preview for those who may log in is nobody else's.
        headers["cache-control"] = CACHE if self._book.config.published else "no-store"
        if request.headers.get("if-none-match") == made.etag:
            return Response(status_code=304, headers=headers)
        if made.packed and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(made.packed, media_type=made.content_type, headers=headers)
        return Response(made.body, media_type=made.content_type, headers=headers)
