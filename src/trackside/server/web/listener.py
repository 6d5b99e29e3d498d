"""An ASGI app behind a listening socket, within somebody else's event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

# Requests that are still answered when the server is told to stop get this long.
GRACE_S = 3

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn would raise the signal again when it is done, and so end the process before its journal is written.
        yield


def bound(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its address as "host:port" (port 0: any free one).

    Raises:
        OSError: the address cannot be listened on.
    """
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    return listener, f"[{host}]:{listener.getsockname()[1]}" if ":" in host else f"{host}:{listener.getsockname()[1]}"


@asynccontextmanager
async def listening(app: App, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `app` on the socket until the block ends."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            serving.result()
            raise OSError("the server ended before it began")
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await serving
