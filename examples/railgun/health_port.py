"""The /health of a process that serves nothing else, on a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        return None


def serve_health(port: int, answers: Callable[[], object]) -> None:
    """`answers` raises as long as it is not healthy."""

    def health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            answers()
        except Exception as error:  # noqa: BLE001 - whatever it is, that is the answer
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    server = make_server("127.0.0.1", port, health, handler_class=_Silent)
    Thread(target=server.serve_forever, name="health", daemon=True).start()
