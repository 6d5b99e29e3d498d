"""From the address of a server to a connection: all of its addresses are tried, and none holds up the others."""

from __future__ import annotations

import asyncio
import socket
import ssl

import httpx

from trackside.server.http.connection import Connection

HEAD_START_S = 0.25
"""Until the next address is tried beside the one that keeps silent (RFC 8305)."""

Origin = tuple[str, str, int, str]
"""Scheme, host, port, and the name that the certificate must have."""


def origin_of(request: httpx.Request) -> Origin:
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    return url.scheme, url.host, port, str(request.extensions.get("sni_hostname") or url.host)


async def connected(origin: Origin, context: ssl.SSLContext | None, timeout_s: float | None) -> Connection:
    """
    Raises:
        httpx.UnsupportedProtocol: TLS is wanted, and there is no context for it.
        httpx.ConnectError: none of the host's addresses takes the connection; its cause says why.
        httpx.ConnectTimeout: none does in time.
    """
    scheme, host, port, _ = origin
    if scheme == "https" and context is None:
        raise httpx.UnsupportedProtocol("no way to speak TLS")
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return await _first(origin, context, [str(address[0]) for *_, address in addresses])
    except TimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time") from error
    except (socket.gaierror, UnicodeError) as error:
        raise httpx.ConnectError(f"the host name {host!r} cannot be resolved") from error
    except OSError as error:
        raise httpx.ConnectError(str(error) or "no connection") from error


async def _first(origin: Origin, context: ssl.SSLContext | None, addresses: list[str]) -> Connection:
    """
    Raises:
        OSError: there is none; what the last address said.
    """
    last = OSError("the host has no address")
    left = list(addresses)
    running: set[asyncio.Task[Connection]] = set()
    try:
        while left or running:
            if left:
                running.add(asyncio.create_task(_attempt(origin, context, left.pop(0))))
            head_start_s = HEAD_START_S if left else None
            ended, _ = await asyncio.wait(running, timeout=head_start_s, return_when=asyncio.FIRST_COMPLETED)
            if ended:
                attempt = ended.pop()
                running.discard(attempt)
                try:
                    return attempt.result()
                except OSError as error:
                    last = error
    finally:
        for attempt in running:
            attempt.add_done_callback(_give_up)
            attempt.cancel()
    raise last


async def _attempt(origin: Origin, context: ssl.SSLContext | None, address: str) -> Connection:
    scheme, _, port, server_name = origin
    tls, name = (context, server_name) if scheme == "https" else (None, None)
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, address, port, ssl=tls, server_hostname=name
    )
    return connection


def _give_up(attempt: asyncio.Task[Connection]) -> None:
    """Another address was faster."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()
