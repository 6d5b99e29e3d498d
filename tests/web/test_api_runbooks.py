"""Runbooks as data: which alerts have one, and one with its live figures."""

import pytest

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus

TEXT = """## Down

{{ $labels.job }} is down.

```promql
up{job="{{ $labels.job }}"}
```

```promql
sum(
```

## Orphan

1. step [gone](gone.md)
"""


@pytest.fixture
def site(site, tmp_path):
    (tmp_path / "rules.yml").write_text("groups: []")
    (tmp_path / "RUNBOOK.md").write_text(TEXT)
    firing = Alert(Labels.of(alertname="Down", job="shop"), Labels(), AlertState.FIRING, 0.0, 0, 0)
    other = Alert(Labels.of(alertname="Down", job="bank"), Labels(), AlertState.FIRING, 0.0, 0, 0)
    rules = (
        RuleStatus("Down", "alerting", "up == 0", Labels(), alerts=(firing, other)),
        RuleStatus("Linked", "alerting", "up", Labels(), Labels.of(runbook_url="https://wiki/x")),
        RuleStatus("Alone", "alerting", "up", Labels()),
        RuleStatus("r", "recording", "up", Labels()),
    )
    site.console = {"rule_groups": lambda: (RuleGroupStatus("g", str(tmp_path / "rules.yml"), 1_000, rules),)}
    return site


def test_which_alerts_have_one(site):
    data = site.get("/api/v1/runbooks").json()["data"]
    assert [(each["alert"], each["title"], each["line"], each["url"]) for each in data["alerts"]] == [
        ("Down", "Down", 1, None),
        ("Linked", "Linked", None, "https://wiki/x"),
        ("Alone", None, None, None),
    ]
    assert [each["sentence"] for each in data["findings"]] == [
        "no alert has the name of this chapter, 'Orphan': nobody is led here",
        "there is no 'gone.md' beside this file",
    ]


@pytest.mark.parametrize(("query", "job"), [("", "shop"), ("&label.job=bank", "bank"), ("&label.job=none", "none")])
def test_one_with_live_figures(site, query, job):
    data = site.get(f"/api/v1/runbook?alert=Down{query}").json()["data"]
    assert f"<p>{job} is down.</p>" in data["html"]
    first, second = data["queries"]
    assert (first["expr"], first["series"]) == (f'up{{job="{job}"}}', [{"labels": {"__name__": "up"}, "value": "1"}])
    assert "unexpected end of input" in second["error"]


def test_one_that_is_elsewhere(site):
    data = site.get("/api/v1/runbook?alert=Linked").json()["data"]
    assert (data["url"], data["html"], data["queries"]) == ("https://wiki/x", "", [])


@pytest.mark.parametrize(
    ("query", "status"), [("alert=Alone", 404), ("alert=nosuch", 404), ("alert=r", 404), ("", 400)]
)
def test_one_that_is_not_there(site, query, status):
    assert site.get(f"/api/v1/runbook?{query}").status_code == status


def test_the_linter_knows_them(site):
    found = site.get("/api/v1/rules/lint").json()["data"]["findings"]
    assert ("L14", "Alone") in [(each["check"], each["rule"]) for each in found]
    assert ("L14", "Down") not in [(each["check"], each["rule"]) for each in found]
