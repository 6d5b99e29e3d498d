"""The example as a system of the demo: `make demo SYSTEM=luster`.

DATABASE_URL and REDIS_URL are used where they are given. Without the former the table is in SQLite; without the latter
a Redis of its own is started, and where there is none to start, the SQL worker does everything.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
from ruamel.yaml import YAML

from luster.traffic import traffic
from trackside.demo.configuration import sixtyfold
from trackside.demo.processes import free_port
from trackside.demo.system import Expectation, ExpectedAlert, Service, System, filled

_FOLDER = Path(__file__).parent
_ROWS = YAML(typ="safe").load(_FOLDER / "expectations.yml")
_RQ_PORTS = {"high": 9501, "default": 9502, "low": 9503}
_ONLY_WITH_RQ = re.compile(r'^    - \{name: rq,.*\n|, "\{rq_\w+\}"', re.M)


def system(environ: Mapping[str, str], *, has_redis_server: bool) -> System:
    database_url = environ.get("DATABASE_URL") or "sqlite:///{folder}/luster.db"
    given_redis, own_redis = environ.get("REDIS_URL", ""), ""
    if not given_redis and has_redis_server:
        own_redis = str(free_port(0))
    redis_url = given_redis or (own_redis and f"redis://127.0.0.1:{own_redis}/0")
    secret = secrets.token_hex(32)
    token = jwt.encode({"aud": "luster", "sub": "workers", "exp": 4_102_444_800}, secret, "HS256")
    client = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OPENAI_BASE_URL": "http://{stand_ins}/v1",
        "OPENAI_API_KEY": "stand-in",
        "STORAGE_URL": "http://{stand_ins}/storage",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_FOLDER.parent), environ.get("PYTHONPATH", "")))),
        # A visitor need not wait for the second attempt.
        "RETRY_AFTER_SECONDS": "2",
        "POLL_EVERY_SECONDS": "0.3",
    }
    worker = {**client, "TRACKSIDE_URL": "http://{server}", "TRACKSIDE_KEY": token}
    configuration = (_FOLDER / "trackside.yml").read_text()
    if not redis_url:
        configuration = _ONLY_WITH_RQ.sub("", configuration).replace("source: rq}", "source: table}")
    return System(
        name="luster",
        parts=_parts(given_redis, own_redis),
        story="In 15 seconds the model fails and the storage is slow, for 25: watch jobs fail, and a queue grow.",
        services=tuple(_services(client, worker, redis_url, own_redis)),
        configuration=filled(configuration, {"database_url": database_url, "redis_url": redis_url}),
        files={"rules.yml": sixtyfold((_FOLDER / "rules.yml").read_text()), "service.secret": secret},
        traffic=traffic,
        expected=tuple(_expected(_ROWS)),
        alerts=tuple(ExpectedAlert(row["alert"], tuple(row["states"])) for row in _ROWS["alerts"]),
        links={
            "jobs, queues and workers": "http://{server}/jobs",
            "the dashboard of the service": "http://{server}/admin/dashboard",
            "the API": "http://{api}/docs",
        },
    )


def _parts(given_redis: str, own_redis: str) -> str:
    workers = "an SQL worker, three RQ workers" if given_redis or own_redis else "an SQL worker (no Redis, so no RQ)"
    return f"an image API, {workers}, {'a Redis, ' if own_redis else ''}stand-ins for OpenAI and a storage"


def _services(
    client: Mapping[str, str], worker: Mapping[str, str], redis_url: str, own_redis: str
) -> Iterator[Service]:
    uvicorn = ("-m", "uvicorn", "--app-dir", str(_FOLDER.parent), "--port", "{port}", "--log-level", "warning")
    if own_redis:
        arguments = ("-m", "luster.private_redis", "--redis-port", own_redis, "--port", "{port}")
        yield Service("redis", 9504, arguments, {"PYTHONPATH": client["PYTHONPATH"]})
    yield Service("stand_ins", 9498, (*uvicorn, "luster.stand_ins:app"))
    yield Service("api", 9499, (*uvicorn, "luster.api:app"), client, "/health/ready")
    yield Service("db_worker", 9500, ("-m", "luster.db_worker", "--port", "{port}"), worker)
    for queue, port in _RQ_PORTS.items() if redis_url else ():
        yield Service(f"rq_{queue}", port, ("-m", "luster.rq_worker", "--queue", queue, "--port", "{port}"), worker)


def _expected(rows: dict[str, Any]) -> Iterator[Expectation]:
    for name in rows["metrics"]:
        yield Expectation(f"series of {name}", f"count({name})", 1, 5_000)
    for row in rows["queries"]:
        yield Expectation(row["shows"], row["query"], row["low"], row["high"])
    for row in rows["alerts"]:
        yield Expectation(f"what {row['alert']} compares", row["compares"], row["low"], row["high"])


SYSTEM = system(os.environ, has_redis_server=shutil.which("redis-server") is not None)
