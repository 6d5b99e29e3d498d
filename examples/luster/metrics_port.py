"""The /metrics and /health of a worker process, on a thread: a worker has no web server of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from luster.monitoring import monitor


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return None


def _nothing_else(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"This worker has /metrics and /health.\n"]


def serve_metrics(port: int) -> None:
    server = make_server("127.0.0.1", port, monitor.watch(_nothing_else), handler_class=_Silent)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
