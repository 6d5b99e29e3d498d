"""The example as a system of the demo: `make demo SYSTEM=prompt_backend`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from prompt_backend.traffic import traffic
from trackside.demo.configuration import sixtyfold
from trackside.demo.system import Expectation, ExpectedAlert, Service, System, filled

_FOLDER = Path(__file__).parent


def _expected(rows: dict[str, Any]) -> Iterator[Expectation]:
    for name in rows["metrics"]:
        yield Expectation(f"series of {name}", f"count({name})", 1, 1_000)
    for row in (*rows["documented"], *rows["queries"]):
        yield Expectation(row["shows"], row["query"], row["low"], row["high"])
    for row in rows["alerts"]:
        yield Expectation(f"what {row['alert']} compares", row["compares"], row["low"], row["high"])


_DATABASE = os.environ.get("DATABASE_URL") or "sqlite:///{folder}/prompt_backend.db"
"""Embedded, unless a Postgres is there."""
_rows = YAML(typ="safe").load(_FOLDER / "expectations.yml")
_path = os.pathsep.join(filter(None, (str(_FOLDER.parent), os.environ.get("PYTHONPATH"))))

SYSTEM = System(
    name="prompt_backend",
    parts="a prompt backend with its background tasks, and whom it publishes to",
    story="In 15 seconds the subscriber is away for 20: attempts fail, sessions wait, and all of them arrive later.",
    services=(
        Service(
            "subscriber",
            9498,
            (
                *("-m", "uvicorn", "--app-dir", str(_FOLDER.parent), "--port", "{port}", "--log-level", "warning"),
                "prompt_backend.stand_in:app",
            ),
        ),
        Service(
            "backend",
            9497,
            ("-m", "prompt_backend", "--server", "--bg-tasks", "-A", "--port", "{port}"),
            {
                "PYTHONPATH": _path,
                "DATABASE_URL": _DATABASE,
                "PUBLISH_URL": "http://{subscriber}/sessions",
            },
        ),
    ),
    configuration=filled((_FOLDER / "trackside.yml").read_text(), {"database": _DATABASE}),
    files={"rules.yml": sixtyfold((_FOLDER / "rules.yml").read_text())},
    traffic=traffic,
    expected=tuple(_expected(_rows)),
    alerts=tuple(ExpectedAlert(row["alert"], tuple(row["states"])) for row in _rows["alerts"] if row["states"]),
    links={
        "the backend's metrics": "http://{backend}/metrics",
        "the backend's API": "http://{backend}/docs",
        "what was published": "http://{subscriber}/received",
    },
)
