"""The example as a system of the demo: `make demo SYSTEM=ingestion_server`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ingestion_server.traffic import traffic
from trackside.demo.configuration import sixtyfold
from trackside.demo.system import Expectation, ExpectedAlert, Service, System

_FOLDER = Path(__file__).parent


def _expected(rows: dict[str, Any]) -> Iterator[Expectation]:
    for name in rows["metrics"]:
        yield Expectation(f"series of {name}", f"count({name})", 1, 1_000)
    for row in rows["queries"]:
        yield Expectation(row["shows"], row["query"], row["low"], row["high"])
    for row in rows["alerts"]:
        yield Expectation(f"what {row['alert']} compares", row["compares"], 0, 10)


_rows = YAML(typ="safe").load(_FOLDER / "expectations.yml")

SYSTEM = System(
    name="ingestion_server",
    parts="an ingestion server",
    story="In 15 seconds a consumer hangs for 20, and its buffer fills; soon after, no relay reaches the server.",
    services=(
        Service(
            "ingestion",
            9496,
            (
                *("-m", "uvicorn", "--app-dir", str(_FOLDER.parent), "--port", "{port}", "--log-level", "warning"),
                "ingestion_server.api:app",
            ),
            # Small, so that a visitor need not wait until it is full.
            {"DATABASE_URL": "sqlite:///{folder}/ingestion.db", "BUFFER_CAPACITY": "200"},
        ),
    ),
    configuration=(_FOLDER / "trackside.yml").read_text(),
    files={"rules.yml": sixtyfold((_FOLDER / "rules.yml").read_text())},
    traffic=traffic,
    expected=tuple(_expected(_rows)),
    alerts=tuple(ExpectedAlert(row["alert"], tuple(row["states"])) for row in _rows["alerts"]),
    links={"the server's metrics": "http://{ingestion}/metrics", "its HTTP API": "http://{ingestion}/docs"},
)
