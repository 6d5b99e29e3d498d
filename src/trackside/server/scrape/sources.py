"""Where pages come from: an address over HTTP, or our own process."""

from __future__ import annotations

import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Protocol

import httpx

from trackside.server.http.transport import KeepAliveTransport
from trackside.server.scrape.deadline import answer_within
from trackside.server.scrape.failures import reason
from trackside.server.scrape.http_config import HttpClientConfig, TlsConfig
from trackside.server.scrape.protocols import ScrapeError

MAX_REDIRECTS = 10
_USER_AGENT = "trackside"
TEXT = "text/plain; version=0.0.4"


@dataclass(frozen=True, slots=True)
class Page:
    """What a target answered."""

    body: bytes
    content_type: str = TEXT
    problem: str = ""
    """Why the target counts as down although there is a page: it says so, and is stored all the same."""


class Source(Protocol):
    """Anything that can be scraped: a /metrics page, a probe, our own process. Called by one loop at a time."""

    async def pull(self, now_ms: int) -> Page:
        """
        Raises:
            ScrapeError: it cannot be reached, or answers something else than a page.
        """
        ...


class InProcessSource:
    """The server is a target like any other, minus the HTTP."""

    def __init__(self, render: Callable[[], bytes], content_type: str = TEXT) -> None:
        self._render = render
        self._content_type = content_type

    async def pull(self, now_ms: int) -> Page:
        return Page(self._render(), self._content_type)


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    timeout_s: float
    config: HttpClientConfig
    accept: str = "*/*"
    size_limit: int = 0
    """Of the body, unpacked. 0: none."""
    compressed: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


ClientFactory = Callable[[HttpClientConfig], httpx.AsyncClient]

_TLS_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def http_client(config: HttpClientConfig) -> httpx.AsyncClient:
    """
    Raises:
        OSError: a certificate or key cannot be read.
    """
    context = tls_context(config.tls_config)
    # No cookies: what one target sets is not for the next, and nobody would ever throw them away.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    if not config.proxy_url and not config.proxy_from_environment:
        transport = KeepAliveTransport(context)
        return httpx.AsyncClient(transport=transport, cookies=cookies, max_redirects=MAX_REDIRECTS, trust_env=False)
    bypassed = [host.strip() for host in config.no_proxy.split(",") if host.strip()]
    return httpx.AsyncClient(
        verify=context,
        http2=config.enable_http2,
        cookies=cookies,
        proxy=config.proxy_url or None,
        mounts={f"all://{host}": KeepAliveTransport(context) for host in bypassed},
        trust_env=config.proxy_from_environment,
        max_redirects=MAX_REDIRECTS,
    )


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.min_version:
        context.minimum_version = _TLS_VERSIONS[tls.min_version]
    return context


class HttpSource:
    def __init__(self, client: httpx.AsyncClient, request: Request) -> None:
        self._client = client
        self._request = request

    async def pull(self, now_ms: int) -> Page:
        return await fetch(self._client, self._request)


async def fetch(client: httpx.AsyncClient, request: Request) -> Page:
    """The whole answer to a GET, within its time and size.

    Raises:
        ScrapeError: there is none, or not with status 200.
    """
    try:
        async with answer_within(request.timeout_s):
            return await _page(client, request)
    except TimeoutError as error:
        raise ScrapeError(f"no complete answer within the timeout of {request.timeout_s:g} s") from error
    except httpx.TooManyRedirects as error:
        raise ScrapeError(f"more than {MAX_REDIRECTS} redirects; the last led to {error.request.url}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, zlib.error) as error:
        raise ScrapeError(reason(error)) from error


async def _page(client: httpx.AsyncClient, request: Request) -> Page:
    server_name = request.config.tls_config.server_name
    async with client.stream(
        "GET",
        request.url,
        headers=_headers(request),
        follow_redirects=request.config.follow_redirects,
        extensions={"sni_hostname": server_name} if server_name else None,
        timeout=None,
    ) as response:
        if response.status_code != 200:
            raise ScrapeError(_status_reason(response))
        body = await _limited(_unpacked(response, request.size_limit), request.size_limit)
        return Page(body, response.headers.get("content-type", ""))


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if limit and size > limit:
            raise ScrapeError(f"the answer is longer than body_size_limit = {limit:,} bytes")
        parts.append(chunk)
    return b"".join(parts)


async def _unpacked(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces. Unpacked here and not by the client, whose pieces may be a thousand times what came in."""
    if response.is_stream_consumed:
        yield response.content
        return
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip"):
        raise ScrapeError(
            f"the answer is packed as {encoding[:40]!r}, which was not asked for; expected gzip or nothing"
        )
    unpacker = _Gunzip(limit) if encoding == "gzip" else None
    async for chunk in response.aiter_raw():
        if unpacker is None:
            yield chunk
        else:
            for piece in unpacker.pieces(chunk):
                yield piece
    if unpacker is not None and not unpacker.complete:
        raise ScrapeError("the packed answer was cut off")


class _Gunzip:
    """Never gives out a piece longer than one byte past the limit."""

    def __init__(self, limit: int) -> None:
        self._most = limit + 1 if limit else 1 << 20
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def complete(self) -> bool:
        return self._stream.eof

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._stream.eof:
                # A gzip file may have several members, one behind the other.
                self._stream = zlib.decompressobj(wbits=31)
            yield self._stream.decompress(packed, self._most)
            packed = self._stream.unconsumed_tail or self._stream.unused_data


def _status_reason(response: httpx.Response) -> str:
    status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    match response.status_code:
        case 401 | 403:
            return f"the target refused access ({status}); check basic_auth or authorization of the job"
        case 404:
            return f"the target has no such page ({status}); check metrics_path"
        case code if 300 <= code < 400:
            return f"the target answered {status} to {response.headers.get('location', 'nowhere')[:200]}, not followed"
    return f"the target answered {status}"


def _headers(request: Request) -> dict[str, str]:
    headers = {
        "Accept": request.accept,
        "Accept-Encoding": "gzip" if request.compressed else "identity",
        "User-Agent": _USER_AGENT,
        **request.headers,
    }
    return headers | configured_headers(request.config)


def configured_headers(config: HttpClientConfig) -> dict[str, str]:
    """What the configuration adds to each request: credentials, and headers set by hand."""
    headers = {}
    for name, values in config.http_headers.items():
        secrets = [secret.get_secret_value() for secret in values.secrets]
        headers[name] = ", ".join([*values.values, *secrets, *map(_read, values.files)])
    if (credentials := _credentials(config)) is not None:
        headers["Authorization"] = credentials
    return headers


def _credentials(config: HttpClientConfig) -> str | None:
    """Files are read for each request: a secret that was rotated works without a reload."""
    if (basic := config.basic_auth) is not None:
        username = _read(basic.username_file) if basic.username_file else basic.username
        password = _read(basic.password_file) if basic.password_file else basic.password.get_secret_value()
        return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")
    if (given := config.authorization) is not None:
        secret = _read(given.credentials_file) if given.credentials_file else given.credentials.get_secret_value()
        return f"{given.type} {secret}".strip()
    if config.bearer_token_file:
        return f"Bearer {_read(config.bearer_token_file)}"
    token = config.bearer_token.get_secret_value()
    return f"Bearer {token}" if token else None


def _read(file: str) -> str:
    return Path(file).read_text(encoding="utf-8").strip()
