"""A Redis for the demo alone, where none is given: `python -m luster.private_redis --redis-port 6400 --port 9001`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Thread
from typing import Any
from wsgiref.simple_server import make_server

from redis import Redis
from redis.exceptions import RedisError

LINGERS_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--port", type=int, required=True, help="for /health")
    options = parser.parse_args()
    client: Any = Redis(port=options.redis_port)

    def health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            client.ping()
        except RedisError as error:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    # In memory only: what the demo did is gone with it.
    command = ("redis-server", "--port", str(options.redis_port), "--bind", "127.0.0.1", "--save", "")
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    Thread(target=make_server("127.0.0.1", options.port, health).serve_forever, daemon=True).start()
    while server.poll() is None and not stopping.wait(0.5):
        pass
    # Everything is told to end at once, and workers have to say good-bye here.
    until_s = time.monotonic() + LINGERS_S
    with suppress(RedisError):
        # One of the clients is ours.
        while time.monotonic() < until_s and client.info("clients")["connected_clients"] > 1:
            time.sleep(0.1)
    server.terminate()
    return server.wait()


if __name__ == "__main__":
    raise SystemExit(main())
