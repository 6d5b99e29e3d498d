"""The page on jobs names what there is."""

import re
from pathlib import Path

import pytest

from trackside.jobs.ledger.charts import ChartBy, ChartMetric
from trackside.jobs.search import FIELDS
from trackside.model.jobs import Fidelity, JobState
from trackside.server.config import load_config
from trackside.server.jobs import collector, figures
from trackside.server.jobs.shipped import rules_text
from trackside.server.web.api.admin import AdminApi
from trackside.server.web.api.jobs import JobsApi
from trackside.server.yamlfile import parse_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "jobs.md").read_text()


def section(title):
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_family_is_named_and_no_other():
    made = {
        name
        for module in (collector, figures)
        for name in re.findall(r'"(trackside_\w+)"', Path(module.__file__).read_text())
    }

    assert set(re.findall(r"^\| `(trackside_\w+)`", section("Metrics"), re.M)) == made


def test_every_alert_is_named_and_no_other():
    (group,) = parse_yaml(rules_text(), "rules.yml").tree["groups"]

    named = re.findall(r"^\| `(\w+)`", section("Alerts"), re.M)
    assert sorted(named) == sorted(rule["alert"] for rule in group["rules"])


def test_every_state_field_metric_and_fidelity_is_named():
    named = [*JobState, *ChartMetric, *ChartBy, *Fidelity]

    assert [one.value for one in named if not re.search(rf"\b{one.value}\b", PAGE)] == []
    assert [field for field in FIELDS if f"`{field}:" not in section("Searching")] == []


@pytest.mark.parametrize("api", [AdminApi, JobsApi])
def test_every_path_is_named(api):
    paths = [route.path.removeprefix("/api/v1/jobs/").replace(":path", "") for route in api(None).routes()]

    assert [path for path in paths if path not in section("HTTP")] == []


def test_the_configuration_of_the_page_is_accepted(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "url").write_text("sqlite:///jobs.db")
    (tmp_path / "trackside.yml").write_text(text.replace("/run/secrets/jobs-url", str(tmp_path / "url")))

    assert load_config(tmp_path / "trackside.yml").root.jobs.oldest == 300_000
