"""What watching a Flask or Django app costs each request, beside the peers, and whether the promises hold.

    python benchmarks/sdk/wsgi_cost.py                 tables
    python benchmarks/sdk/wsgi_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/wsgi_cost.py --check         exit 1 when a promise does not hold

How it measures: the app is called with an environ of its own, without sockets, in processes that take turns; as servers
do, the body is read to its end and closed.

How to read it: compare inside one table only. The row "bare again" is the bare app measured as a contestant: what it
adds is the error of the table. "recorded" is the share of the requests that the contestant's own metrics show.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from promise import Promise, arguments, finished
from turns import Row, Runner, measured, table
from wsgi_contestants import (
    BARE,
    BARE_AGAIN,
    DJANGO_PROMETHEUS,
    FLASK_EXPORTER,
    TRACKSIDE,
    Contestant,
    WsgiApp,
    django_contestant,
    flask_contestant,
)

OF_FLASK_EXPORTER = 0.25
OF_DJANGO_PROMETHEUS = 0.1
# What is told apart here is a few percent of a request, and where a process happens to lie in memory is worth a percent
# or two: so there are many of them.
PROCESSES, BLOCK = 8, 100
_FLASK, _DJANGO = "Flask, 20 routes", "Django, 20 routes"


def requests_of(app: WsgiApp, path: str) -> Callable[[int], float]:
    """A function that sends n requests and returns the seconds each took."""

    def start_response(status: str, headers: object, exc_info: object = None) -> None:
        if not status.startswith("200"):
            raise AssertionError(f"answered {status}")

    def block(count: int) -> float:
        began = time.thread_time()
        for _ in range(count):
            environ: dict[str, Any] = {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": path,
                "SCRIPT_NAME": "",
                "QUERY_STRING": "",
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "127.0.0.1",
                "HTTP_HOST": "localhost",
                "HTTP_ACCEPT": "*/*",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": BytesIO(),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": True,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            }
            body = app(environ, start_response)
            for _ in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()
        return (time.thread_time() - began) / count

    return block


def built(make: Callable[[str], Contestant | None], name: str) -> Runner | None:
    contestant = make(name)
    return contestant and Runner(requests_of(contestant.app, "/items/42"), contestant.counted)


def all_rows(rounds: int) -> list[Row]:
    flask = (BARE, BARE_AGAIN, FLASK_EXPORTER, TRACKSIDE)
    django = (BARE, BARE_AGAIN, DJANGO_PROMETHEUS, TRACKSIDE)
    rows = measured(_FLASK, partial(built, flask_contestant), flask, rounds, BLOCK, PROCESSES)
    return rows + measured(_DJANGO, partial(built, django_contestant), django, rounds, BLOCK, PROCESSES)


def promises(rows: list[Row]) -> list[Promise]:
    added_us = {(row.where, row.contestant): row.added_us for row in rows}
    peers = ((_FLASK, FLASK_EXPORTER, OF_FLASK_EXPORTER), (_DJANGO, DJANGO_PROMETHEUS, OF_DJANGO_PROMETHEUS))
    return [
        Promise(f"{where}: of {peer}'s", limit, added_us[where, TRACKSIDE] / added_us[where, peer])
        for where, peer, limit in peers
        if (where, peer) in added_us
    ]


def main() -> int:
    args = arguments(__doc__, rounds=21).parse_args()
    rows = all_rows(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
