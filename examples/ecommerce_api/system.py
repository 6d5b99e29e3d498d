"""The example as a system of the demo: `make demo SYSTEM=ecommerce_api`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ecommerce_api.traffic import traffic
from trackside.demo.configuration import sixtyfold
from trackside.demo.system import Expectation, ExpectedAlert, Service, System

_FOLDER = Path(__file__).parent


def _expected(rows: dict[str, Any]) -> Iterator[Expectation]:
    for name in rows["metrics"]:
        yield Expectation(f"series of {name}", f"count({name})", 1, 5_000)
    for row in rows["queries"]:
        yield Expectation(row["shows"], row["query"], row["low"], row["high"])
    for row in rows["alerts"]:
        # What it compares, whatever the limit.
        yield Expectation(f"what {row['alert']} compares", row["expr"].rpartition(">")[0], 0, 500)


_rows = YAML(typ="safe").load(_FOLDER / "expectations.yml")
_uvicorn = ("-m", "uvicorn", "--app-dir", str(_FOLDER.parent), "--port", "{port}", "--log-level", "warning")

SYSTEM = System(
    name="ecommerce_api",
    parts="an e-commerce API, stand-ins for Claude, Slack and Gorgias",
    story="Gorgias is slow in 15 seconds for 20: watch the database's connection pool run dry, and requests fail.",
    services=(
        Service("stand_ins", 9495, (*_uvicorn, "ecommerce_api.stand_ins:app")),
        Service(
            "api",
            9494,
            (*_uvicorn, "ecommerce_api.api:app"),
            {
                "DATABASE_URL": "sqlite:///{folder}/ecommerce.db",
                "ANTHROPIC_BASE_URL": "http://{stand_ins}/claude",
                "ANTHROPIC_API_KEY": "stand-in",
                "SLACK_URL": "http://{stand_ins}/slack/api",
                "GORGIAS_URL": "http://{stand_ins}/gorgias/api",
                "IMPORT_EVERY_SECONDS": "5",
            },
        ),
    ),
    configuration=(_FOLDER / "trackside.yml").read_text(),
    files={"rules.yml": sixtyfold((_FOLDER / "rules.yml").read_text())},
    traffic=traffic,
    expected=tuple(_expected(_rows)),
    alerts=tuple(ExpectedAlert(row["alert"], tuple(row["states"])) for row in _rows["alerts"]),
    links={"the API's metrics": "http://{api}/metrics", "the API": "http://{api}/docs"},
)
