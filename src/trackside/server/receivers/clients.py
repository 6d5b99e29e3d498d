"""HTTP clients: one for all receivers that are asked in the same way."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from trackside.exceptions import DeliveryError
from trackside.server.http.transport import KeepAliveTransport
from trackside.server.receivers.http_config import HttpConfig, TlsConfig
from trackside.server.receivers.secret import NO_MANAGER

ClientFactory = Callable[[HttpConfig], httpx.AsyncClient]

_Way = tuple[str, ...]
_WAY = {"tls_config", "enable_http2", "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"}
"""The keys that make a client; the others are said with each request."""
REMEMBERED = 256
"""Sections whose way is known: to write it out takes longer than many a message."""
_AS_IT_IS = {"follow_redirects": False}
"""How a message is asked to be sent; whoever asks otherwise wants what the client does besides."""

IDLE_S = 1.5
"""How long a connection is kept for the next message. Receivers close theirs after two seconds or more, and one that is
closed at the moment it is used leaves it open whether the message has arrived."""
MAX_IDLE_EACH = 16
"""To one receiver: as many as messages are on their way to it at once."""

_TLS_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


class Clients:
    """Opened when they are needed, and shared."""

    def __init__(self, factory: ClientFactory | None = None) -> None:
        self._factory = factory or http_client
        self._open: dict[_Way, tuple[tuple[int, ...], httpx.AsyncClient]] = {}
        """By the way they ask: the state of its files, and the client."""
        self._ways: dict[int, tuple[HttpConfig, _Way]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, http: HttpConfig) -> httpx.AsyncClient:
        """
        Raises:
            OSError, ValueError: a certificate or key cannot be used.
        """
        tls, way = http.tls_config, self._way(http)
        # A renewed certificate is used without a restart.
        files = tuple(_changed_ns(file) for file in (tls.ca_file, tls.cert_file, tls.key_file))
        known = self._open.get(way)
        if known is not None and known[0] == files:
            return known[1]
        client = self._factory(http)
        if known is not None:
            self._close(known[1])
        self._open[way] = (files, client)
        return client

    def _way(self, http: HttpConfig) -> _Way:
        """What is equal for those that can share a client."""
        known = self._ways.get(id(http))
        # Held, so that its place in memory does not become another's.
        if known is None or known[0] is not http:
            if len(self._ways) >= REMEMBERED:
                self._ways.clear()
            known = self._ways[id(http)] = http, _way_of(http)
        return known[1]

    async def close(self) -> None:
        for _, client in self._open.values():
            self._close(client)
        self._open.clear()
        await asyncio.gather(*self._closing)

    def _close(self, client: httpx.AsyncClient) -> None:
        task = asyncio.get_running_loop().create_task(client.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _way_of(http: HttpConfig) -> _Way:
    secrets = (http.tls_config.key, *(value for values in http.proxy_connect_header.values() for value in values))
    return (http.model_dump_json(include=_WAY), *(secret.get_secret_value() for secret in secrets))


def http_client(http: HttpConfig) -> httpx.AsyncClient:
    """
    Raises:
        OSError, ValueError: a certificate or key cannot be used.
        DeliveryError: one of them is named by reference.
    """
    context = _contexts(http)
    # No cookies: what one receiver sets is not for the next.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    if http.proxy_url or http.proxy_from_environment:
        return _by_proxy(http, context(), cookies)
    # Where no HTTP/2 is asked for, a message costs a quarter of what it costs the client's own way.
    kept = partial(KeepAliveTransport, idle_s=IDLE_S, each=MAX_IDLE_EACH)
    with_tls = _Late(
        lambda: httpx.AsyncHTTPTransport(verify=context(), http2=True) if http.enable_http2 else kept(context())
    )
    return _Direct({"http": kept(None), "https": with_tls}, cookies)


def _by_proxy(http: HttpConfig, context: ssl.SSLContext, cookies: CookieJar) -> httpx.AsyncClient:
    proxy = None
    if http.proxy_url:
        headers = [
            (name, value.get_secret_value()) for name, values in http.proxy_connect_header.items() for value in values
        ]
        proxy = httpx.Proxy(http.proxy_url, headers=headers)
    bypassed = [host.strip() for host in http.no_proxy.split(",") if host.strip()]
    direct = httpx.AsyncHTTPTransport(verify=context, http2=http.enable_http2) if bypassed else None
    return httpx.AsyncClient(
        verify=context,
        http2=http.enable_http2,
        cookies=cookies,
        proxy=proxy,
        mounts={f"all://{host}": direct for host in bypassed},
        trust_env=http.proxy_from_environment,
    )


class _Direct(httpx.AsyncClient):
    """Leaves what is sent as it is: whoever sends a message has put in the credentials and follows redirects himself.
    What the client does besides, about cookies most of all, takes as long as the message. And it sends after it was
    closed too: a certificate that is renewed at that moment loses no message."""

    def __init__(self, ways: Mapping[str, httpx.AsyncBaseTransport], cookies: CookieJar) -> None:
        """`ways`: by the scheme of the address."""
        mounts = {f"{scheme}://": way for scheme, way in ways.items()}
        super().__init__(transport=ways["https"], mounts=mounts, cookies=cookies, trust_env=False)
        self._ways = ways

    async def send(self, request: httpx.Request, *, stream: bool = False, **how: Any) -> httpx.Response:
        way = self._ways.get(request.url.scheme)
        if way is None or how != _AS_IT_IS or not stream or request.url.userinfo:
            return await super().send(request, stream=stream, **how)
        response = await way.handle_async_request(request)
        response.request = request
        return response


class _Late(httpx.AsyncBaseTransport):
    """A way made when it is gone for the first time: to load it takes longer than many messages, and who tells a
    receiver in the same house never needs it."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._made: httpx.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._made is None:
            self._made = self._make()
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.aclose()


def _contexts(http: HttpConfig) -> Callable[[], ssl.SSLContext]:
    """The usual one when it is asked for; any other now, since it can fail."""
    if http.tls_config == TlsConfig():
        return partial(_usual_context, "HTTP/2" if http.enable_http2 else "HTTP/1.1")
    context = _context(http.tls_config)
    return lambda: context


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """
    Raises:
        OSError, ValueError: a certificate or key cannot be used.
        DeliveryError: one of them is named by reference.
    """
    return _usual_context("mail") if tls == TlsConfig() else _context(tls)


@lru_cache(maxsize=3)
def _usual_context(protocol: str) -> ssl.SSLContext:
    # To read the certificates of the machine takes longer than to send a message. One for each protocol: whoever speaks
    # it writes into the context what is offered to the other side.
    return ssl.create_default_context()


def _context(tls: TlsConfig) -> ssl.SSLContext:
    if tls.ca_ref or tls.cert_ref or tls.key_ref:
        raise DeliveryError(f"tls_config: {NO_MANAGER}", retry=False)
    context = ssl.create_default_context(cafile=tls.ca_file or None, cadata=tls.ca or None)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert or tls.cert_file:
        _load_certificate(context, tls)
    if tls.min_version:
        context.minimum_version = _TLS_VERSIONS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _TLS_VERSIONS[tls.max_version]
    return context


def _load_certificate(context: ssl.SSLContext, tls: TlsConfig) -> None:
    if tls.cert_file and tls.key_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        return
    # Python loads certificates from files only.
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = (
            _in_file(Path(folder) / name, text, file)
            for name, text, file in (
                ("certificate", tls.cert, tls.cert_file),
                ("key", tls.key.get_secret_value(), tls.key_file),
            )
        )
        context.load_cert_chain(certificate, key)


def _in_file(path: Path, text: str, file: str) -> str:
    if file:
        return file
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(text)
    return str(path)


def _changed_ns(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns if file else 0
    except OSError:
        return 0
