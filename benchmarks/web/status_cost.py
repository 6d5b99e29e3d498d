"""What a reader of the public status page costs, beside making the page anew for each of them.

The whole way is taken, compression and the door included, in one process and without sockets. Read the ratio: the times
are of this machine.

    python benchmarks/web/status_cost.py [--readers N] [--components N]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from trackside.server.app import App, AppSettings
from trackside.server.clock import SystemClock
from trackside.server.config import load_config
from trackside.server.web.status.files import files
from trackside.server.web.status.page import Place

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/status",
    "raw_path": b"/status",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"status.example.com"), (b"accept-encoding", b"gzip")],
    "client": ("192.0.2.1", 1),
    "server": ("127.0.0.1", 80),
}


async def read(app: App) -> int:
    """Bytes of one answer."""
    size = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal size
        size += len(message.get("body", b""))

    await app.asgi({**SCOPE, "state": {}}, receive, send)
    return size


async def measure(folder: Path, components: int, readers: int) -> None:
    lines = ["status_page:", "  published: true", "  components:"]
    lines += [f"  - {{name: Component {index}, expr: 'vector(1)'}}" for index in range(components)]
    (folder / "trackside.yml").write_text("\n".join(lines))
    settings = AppSettings(folder / "data", "http://status.example.com")
    app = App(load_config(folder / "trackside.yml"), settings, SystemClock())
    await app.start(on_clock=False)
    await app.publishing.tick(SystemClock().now_ms())
    size = await read(app)
    began_s = time.process_time()
    for _ in range(readers):
        await read(app)
    each_s = (time.process_time() - began_s) / readers
    began_s = time.process_time()
    for _ in range(20):
        files(app.publishing.book.view, Place("http://status.example.com"))["index.html"].made()
    anew_s = (time.process_time() - began_s) / 20
    renders = app.publishing.files.renders_total
    await app.stop()
    print(f"page of {components} components: {size:,} bytes as sent")
    print(f"one reader: {each_s * 1e6:.0f} µs of processor; a thousand a second: {each_s * 1e5:.1f} % of one")
    print(f"making it anew: {anew_s * 1e6:.0f} µs, {anew_s / each_s:.0f} times as much; made {renders} time(s) in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=3_000)
    parser.add_argument("--components", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), options.components, options.readers))


if __name__ == "__main__":
    main()
