"""The e-commerce example shows everything its team asked for, on our engine and on Prometheus with the same files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "examples" / "ecommerce_api"
ROWS = yaml.safe_load((FOLDER / "expectations.yml").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]


def one_line(query: str) -> str:
    return " ".join(query.split())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_metric_query_and_alert_has_data_here_and_in_prometheus(checked_run):
    """One test and not many: the system runs for a minute, and tests of one module may be spread over processes."""
    run = checked_run("ecommerce_api", 60)

    assert run.findings["problems"] == []
    assert run.without_data() == []
    if run.prometheus is None:
        pytest.skip("Debian's package prometheus is not installed: only our own engine was asked")
    assert run.prometheus.without_data(run.queries | run.alerts(ROWS["alerts"])) == []
    assert run.prometheus.complaints() == []


def test_the_rules_are_the_expected_ones_and_lead_to_the_runbook():
    rules = {rule["alert"]: (one_line(rule["expr"]), rule["for"]) for rule in RULES}
    assert rules == {row["alert"]: (row["expr"], row["for"]) for row in ROWS["alerts"]}

    chapters = re.findall("^## (.*)$", (FOLDER / "RUNBOOK.md").read_text(), re.M)
    anchors = {chapter.lower().replace(" ", "-") for chapter in chapters}
    assert {rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULES} == anchors
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "info"}


def test_the_dashboard_asks_exactly_what_is_expected_to_have_an_answer():
    dashboard = json.loads((FOLDER / "dashboards" / "ecommerce.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert sorted(asked) == sorted(row["query"] for row in ROWS["queries"])


def test_the_panels_of_the_dashboard_do_not_overlap():
    dashboard = json.loads((FOLDER / "dashboards" / "ecommerce.json").read_text())
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


OFF = """
from fastapi.testclient import TestClient
from ecommerce_api.api import app
with TestClient(app) as client:
    paths = ("/customers/1", "/archetypes", "/metrics", "/metrics-custom", "/health/ready")
    print({path: client.get(path).status_code for path in paths})
"""


def test_with_metrics_off_the_service_serves_and_nothing_is_measured(tmp_path):
    environment = {
        **os.environ,
        "ENABLE_PROMETHEUS_METRICS": "false",
        "DATABASE_URL": f"sqlite:///{tmp_path}/shop.db",
        "ANTHROPIC_API_KEY": "none",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), *sys.path]),
    }
    result = subprocess.run(
        [sys.executable, "-c", OFF], capture_output=True, text=True, timeout=100, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    statuses = {"/customers/1": 200, "/archetypes": 200, "/metrics": 404, "/metrics-custom": 404, "/health/ready": 200}
    assert result.stdout.strip() == str(statuses)
