"""The example as a system of the demo: `make demo SYSTEM=railgun`.

DATABASE_URL and REDIS_URL are used where they are given. Without them servers of the demo's own are started, and where
there is no Postgres to start, messages are in SQLite; where there is no Redis, the API does without.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from railgun.private_server import has_redis, postgres_programs, url_of_postgres
from railgun.stand_ins import ROUTING_KEY, WEBHOOK
from railgun.traffic import traffic
from trackside.demo.configuration import sixtyfold
from trackside.demo.processes import free_port
from trackside.demo.system import Expectation, ExpectedAlert, Service, System, filled

_FOLDER = Path(__file__).parent
_ROWS = YAML(typ="safe").load(_FOLDER / "expectations.yml")
_QUERY = re.compile(r"^ *```promql\n(.*?)\n *```$", re.M | re.S)
_EXPORTER = "  {}:\n    - {{url: .*\n"


@dataclass(frozen=True, slots=True)
class Servers:
    """What there is to keep data in; "" is none."""

    database: str = ""
    postgres: str = ""
    """The database, where it is a Postgres."""
    redis: str = ""
    own_postgres_port: str = ""
    own_redis_port: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], *, has_postgres: bool, has_redis: bool) -> Servers:
        """Those that are given, else some of our own where they can be started."""
        database, redis = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
        postgres_port = "" if database or not has_postgres else str(free_port(0))
        redis_port = "" if redis or not has_redis else str(free_port(0))
        database = database or (postgres_port and url_of_postgres(postgres_port))
        return cls(
            database or "sqlite:///{folder}/railgun.db",
            database if database.startswith("postgres") else "",
            redis or (redis_port and f"redis://127.0.0.1:{redis_port}/0"),
            postgres_port,
            redis_port,
        )

    def can_answer(self, query: str) -> bool:
        """Whether the servers that it is about are there. Of a Redis that is given nobody knows if it has a limit."""
        if "redis_memory_max_bytes" in query:
            return bool(self.own_redis_port)
        # What the API itself measures of its clients has its prefix before these.
        return (bool(self.postgres) or not re.search(r"\bpg_", query)) and (
            bool(self.redis) or not re.search(r"\bredis_", query)
        )


def system(environ: Mapping[str, str], *, has_postgres: bool, has_redis: bool) -> System:
    servers = Servers.of(environ, has_postgres=has_postgres, has_redis=has_redis)
    smtp_port = str(free_port(0))
    return System(
        name="railgun",
        parts=_parts(servers),
        story=_story(servers),
        services=tuple(_services(servers, smtp_port, environ)),
        configuration=_configuration(servers, smtp_port),
        files={"rules.yml": _quick((_FOLDER / "rules.yml").read_text())},
        traffic=traffic,
        expected=tuple(one for one in _expected(_ROWS) if servers.can_answer(one.query)),
        alerts=tuple(
            ExpectedAlert(row["alert"], tuple(row["states"])) for row in _ROWS["alerts"] if _is_broken(row, servers)
        ),
        links={
            "who was told what": "http://{stand_ins}/",
            "the status page": "http://{server}/status",
            "checks from outside": "http://{server}/uptime",
            "the API": "http://{api}/docs",
        },
    )


def _is_broken(row: Mapping[str, Any], servers: Servers) -> bool:
    """Only servers of the demo's own are."""
    own = {"postgres": servers.own_postgres_port, "redis": servers.own_redis_port}
    return bool(own.get(row.get("breaks", ""), "yes"))


def _parts(servers: Servers) -> str:
    own = [
        *(["a Postgres"] if servers.own_postgres_port else []),
        *(["a Redis"] if servers.own_redis_port else []),
    ]
    return ", ".join(["a chat", *own, "stand-ins for Slack, PagerDuty and a mail server"])


def _story(servers: Servers) -> str:
    then = [
        *(["Redis fills up"] if servers.own_redis_port else []),
        *(["connections to the database run out"] if servers.own_postgres_port else []),
    ]
    return "In 8 seconds direct messages become slow; then searches fail" + "".join(f", {one}" for one in then) + "."


def _configuration(servers: Servers, smtp_port: str) -> str:
    text = (_FOLDER / "trackside.yml").read_text()
    for name, url in (("postgres", servers.postgres), ("redis", servers.redis)):
        if not url:
            text = re.sub(_EXPORTER.format(name), "", text)
    if not servers.postgres and not servers.redis:
        text = text.replace("exporters:\n", "")
    values = {
        "database_url": servers.postgres,
        "redis_url": servers.redis,
        "smtp_port": smtp_port,
        "webhook": WEBHOOK,
        "routing_key": ROUTING_KEY,
    }
    return filled(text, values)


def _quick(rules: str) -> str:
    """For a visitor who has two minutes: what is looked back at is shorter too, so that what is over is over."""
    return sixtyfold(rules).replace("[5m]", "[20s]")


def _services(servers: Servers, smtp_port: str, environ: Mapping[str, str]) -> Iterator[Service]:
    path = {"PYTHONPATH": os.pathsep.join(filter(None, (str(_FOLDER.parent), environ.get("PYTHONPATH", ""))))}
    for name, port, at in (("postgres", 9504, servers.own_postgres_port), ("redis", 9505, servers.own_redis_port)):
        if at:
            arguments = ("-m", "railgun.private_server", name, "--at", at, "--port", "{port}")
            yield Service(name, port, arguments, path)
    mail = ("--smtp-port", smtp_port, "--keep", "{folder}/told.jsonl")
    yield Service("stand_ins", 9498, ("-m", "railgun.stand_ins", "--port", "{port}", *mail), path)
    web = ("-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", str(_FOLDER / "web"))
    yield Service("web", 9497, web, health="/")
    clock = {"TROUBLE_CLOCK": "{folder}/began"}
    api = {
        **path,
        **clock,
        "DATABASE_URL": servers.database,
        "REDIS_URL": servers.redis,
        "SENTRY_TRACES_SAMPLE_RATE": environ.get("SENTRY_TRACES_SAMPLE_RATE", "0.1"),
    }
    yield Service("api", 9499, ("-m", "uvicorn", "railgun.api:app", "--port", "{port}"), api, "/api/v1/health/ready")
    own = {
        **({"OWN_POSTGRES_URL": servers.postgres} if servers.own_postgres_port else {}),
        **({"OWN_REDIS_URL": servers.redis} if servers.own_redis_port else {}),
    }
    if own:
        yield Service("trouble", 9506, ("-m", "railgun.trouble", "--port", "{port}"), {**path, **clock, **own})


def _expected(rows: dict[str, Any]) -> Iterator[Expectation]:
    for name in rows["metrics"]:
        yield Expectation(f"series of {name}", f"count({name})", 1, 5_000)
    for row in rows["queries"]:
        yield Expectation(row["shows"], row["query"], row["low"], row["high"])
    for row in rows["alerts"]:
        yield Expectation(f"what {row['alert']} compares", row["compares"], row["low"], row["high"])
    for query in runbook_queries():
        yield Expectation(f"the runbook's {query}", query)


def runbook_queries() -> list[str]:
    """Each as one line."""
    return [" ".join(found.split()) for found in _QUERY.findall((_FOLDER / "RUNBOOK.md").read_text())]


SYSTEM = system(os.environ, has_postgres=postgres_programs() is not None, has_redis=has_redis())
