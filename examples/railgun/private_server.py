"""A Postgres or a Redis for the demo alone, where none is given: `python -m railgun.private_server redis --at 6400
--port 9001`. Small ones, that are easily full; what was in them is gone with them."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from railgun.health_port import serve_health

MAX_CONNECTIONS = 50
MAX_MEMORY = "32mb"
_LINGERS_S = 4.0
_DEBIANS_POSTGRES = "usr/lib/postgresql/*/bin/postgres"
"""Not on the path."""


def postgres_programs() -> Path | None:
    """The folder of `postgres` and `initdb`. None: not installed, or there is nobody to run them as."""
    found = sorted(Path("/").glob(_DEBIANS_POSTGRES))
    on_path = shutil.which("postgres")
    folder = found[-1].parent if found else Path(on_path).resolve().parent if on_path else None
    return folder if folder is not None and _owner() is not None else None


def has_redis() -> bool:
    return shutil.which("redis-server") is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=("postgres", "redis"))
    parser.add_argument("--at", type=int, required=True, help="the port of the server")
    parser.add_argument("--port", type=int, required=True, help="for /health")
    options = parser.parse_args()
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    # Not the folder of the demo: a Postgres that may not run as root may not enter that, either.
    with tempfile.TemporaryDirectory(prefix="railgun-", ignore_cleanup_errors=True) as name:
        server = (_postgres if options.server == "postgres" else _redis)(options.at, Path(name))
        clients = (_clients_of_postgres if options.server == "postgres" else _clients_of_redis)(options.at)
        serve_health(options.port, clients)
        while server.poll() is None and not stopping.wait(0.5):
            pass
        # Everything is told to end at once, and the API has to say good-bye here.
        until_s = time.monotonic() + _LINGERS_S
        with suppress(psycopg.Error, RedisError):
            # One of them is the one that asks.
            while time.monotonic() < until_s and clients() > 1:
                time.sleep(0.1)
        # SIGINT, with which a Postgres waits for nobody.
        server.send_signal(signal.SIGINT)
        return server.wait()


def _redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    memory = ("--maxmemory", MAX_MEMORY, "--maxmemory-policy", "noeviction")
    command = ("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *memory)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _postgres(port: int, folder: Path) -> subprocess.Popen[bytes]:
    programs, owner = postgres_programs(), _owner()
    if programs is None or owner is None:
        raise SystemExit("no Postgres is installed here, or there is nobody whom it may run as")
    if "user" in owner:
        shutil.chown(folder, owner["user"])
    data = folder / "data"
    # Quick, and for nobody else: it listens on this machine alone, and whatever is written is gone in the end.
    make = [str(programs / "initdb"), "-D", str(data), "-U", "railgun", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": MAX_CONNECTIONS,
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server: subprocess.Popen[bytes] = subprocess.Popen(
        [programs / "postgres", "-D", data, *arguments], stdin=subprocess.DEVNULL, cwd=folder, **owner
    )
    return server


def _owner() -> dict[str, Any] | None:
    """For subprocess: Postgres refuses to run as root. None: there is nobody else."""
    if os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415 - not on every system

    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return None
    return {"user": "postgres", "group": "postgres", "extra_groups": ()}


def _clients_of_postgres(port: int) -> Callable[[], int]:
    def clients() -> int:
        with closing(psycopg.connect(url_of_postgres(port), connect_timeout=2)) as connection:
            asked = connection.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")
            (found,) = asked.fetchone() or (0,)
            return int(found)

    return clients


def _clients_of_redis(port: int) -> Callable[[], int]:
    client: Any = Redis(port=port, socket_timeout=2)
    return lambda: int(client.info("clients")["connected_clients"])


def url_of_postgres(port: int | str) -> str:
    return f"postgresql://railgun@127.0.0.1:{port}/postgres"


if __name__ == "__main__":
    raise SystemExit(main())
