from __future__ import annotations

import math

import pytest

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.model.targets import TargetHealth, TargetStatus

NOW_MS = 1_764_079_335_000
UP = TargetStatus(
    "shop",
    "http://shop:8000/metrics",
    Labels.of(job="shop", instance="shop:8000"),
    Labels.of(__address__="shop:8000"),
    TargetHealth.UP,
    "",
    NOW_MS - 1_500,
    0.021,
)
NEVER = TargetStatus("worker", "http://worker:9000/metrics", Labels.of(job="worker"), Labels())
FIRING = Alert(
    Labels.of(alertname="Failing", job="shop"),
    Labels.of(summary="it fails"),
    AlertState.FIRING,
    0.041,
    NOW_MS - 60_000,
    NOW_MS - 30_000,
    keep_firing_since_ms=NOW_MS - 10_000,
)
PENDING = Alert(Labels.of(alertname="Slow"), Labels(), AlertState.PENDING, math.inf, NOW_MS)
GROUPS = (
    RuleGroupStatus(
        "http",
        "rules/http.yml",
        15_000,
        (
            RuleStatus(
                "Failing", "alerting", "errors > 0", Labels.of(severity="critical"), for_ms=120_000, alerts=(FIRING,)
            ),
            RuleStatus("Slow", "alerting", "slow > 1", Labels(), keep_firing_for_ms=5_000, alerts=(PENDING,)),
            RuleStatus("Quiet", "alerting", "quiet", Labels(), health="err", last_error="many-to-many"),
            RuleStatus("job:up:sum", "recording", "sum by (job) (up)", Labels.of(team="a"), health="ok"),
        ),
        NOW_MS,
        0.002,
        limit=10,
    ),
    RuleGroupStatus("more", "rules/more.yml", 60_000, (RuleStatus("b", "recording", "up", Labels()),)),
)


@pytest.fixture
def data(site):
    site.console = {
        "targets": lambda: (UP, NEVER),
        "rule_groups": lambda: GROUPS,
        "metadata": lambda: {
            "up": [("gauge", "Whether it answers", "")],
            "http_requests_total": [("counter", "Requests", ""), ("counter", "All requests", "")],
        },
    }

    def get(path: str):
        response = site.get(f"/api/v1/{path}")
        return response.json()["data"] if response.status_code == 200 else response

    return get


class TestTargets:
    def test_say_what_the_last_scrape_said(self, data):
        active = data("targets")["activeTargets"]

        assert active[0] == {
            "discoveredLabels": {"__address__": "shop:8000"},
            "labels": {"job": "shop", "instance": "shop:8000"},
            "scrapePool": "shop",
            "scrapeUrl": "http://shop:8000/metrics",
            "globalUrl": "http://shop:8000/metrics",
            "lastError": "",
            "lastScrape": "2025-11-25T14:02:13.500Z",
            "lastScrapeDuration": 0.021,
            "health": "up",
            "scrapeInterval": "15s",
            "scrapeTimeout": "10s",
        }
        assert (active[1]["health"], active[1]["lastScrape"]) == ("unknown", "0001-01-01T00:00:00Z")

    @pytest.mark.parametrize(
        ("query", "pools"),
        [
            ("", ["shop", "worker"]),
            ("?state=any", ["shop", "worker"]),
            ("?state=active", ["shop", "worker"]),
            ("?state=dropped", []),
            ("?scrapePool=worker", ["worker"]),
            ("?scrapePool=none", []),
        ],
    )
    def test_are_chosen(self, data, query, pools):
        assert [target["scrapePool"] for target in data("targets" + query)["activeTargets"]] == pools

    def test_in_a_state_that_is_none(self, data):
        response = data("targets?state=lost")

        assert response.status_code == 400
        assert response.json()["error"] == (
            "invalid parameter \"state\": cannot use 'lost'; expected any or active or dropped"
        )


class TestRules:
    def test_say_everything_of_an_alerting_rule(self, data):
        group = data("rules")["groups"][0]

        assert {key: group[key] for key in group if key != "rules"} == {
            "name": "http",
            "file": "rules/http.yml",
            "interval": 15.0,
            "limit": 10,
            "evaluationTime": 0.002,
            "lastEvaluation": "2025-11-25T14:02:15.000Z",
        }
        assert group["rules"][0] == {
            "name": "Failing",
            "query": "errors > 0",
            "health": "unknown",
            "evaluationTime": 0.0,
            "lastEvaluation": "0001-01-01T00:00:00Z",
            "type": "alerting",
            "labels": {"severity": "critical"},
            "state": "firing",
            "duration": 120.0,
            "keepFiringFor": 0.0,
            "annotations": {},
            "alerts": [
                {
                    "labels": {"alertname": "Failing", "job": "shop"},
                    "annotations": {"summary": "it fails"},
                    "state": "firing",
                    "activeAt": "2025-11-25T14:01:15.000Z",
                    "value": "0.041",
                    "keepFiringSince": "2025-11-25T14:02:05.000Z",
                }
            ],
        }

    def test_have_the_state_of_their_worst_alert(self, data):
        rules = data("rules")["groups"][0]["rules"]

        assert [rule.get("state") for rule in rules] == ["firing", "pending", "inactive", None]
        assert rules[2]["lastError"] == "many-to-many"
        assert "lastError" not in rules[0]

    def test_that_record_have_no_alerts(self, data):
        recording = data("rules")["groups"][0]["rules"][3]

        assert recording["type"] == "recording"
        assert not {"alerts", "state", "duration", "annotations"} & set(recording)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["Failing", "Slow", "Quiet", "job:up:sum", "b"]),
            ("?type=alert", ["Failing", "Slow", "Quiet"]),
            ("?type=record", ["job:up:sum", "b"]),
            ("?rule_name[]=Slow&rule_name[]=b", ["Slow", "b"]),
            ("?rule_group[]=more", ["b"]),
            ("?file[]=rules/http.yml&type=record", ["job:up:sum"]),
            ("?rule_group[]=none", []),
            ('?match[]={severity="critical"}', ["Failing"]),
            ('?match[]={severity="critical"}&match[]={team=~"a|b"}', ["Failing", "job:up:sum"]),
            ('?match[]={severity="critical",team="a"}', []),
        ],
    )
    def test_are_chosen_and_empty_groups_left_out(self, data, query, names):
        groups = data("rules" + query)["groups"]

        assert [rule["name"] for group in groups for rule in group["rules"]] == names
        assert all(group["rules"] for group in groups)

    def test_leave_out_alerts_on_request(self, data):
        assert data("rules?exclude_alerts=true")["groups"][0]["rules"][0]["alerts"] == []

    def test_come_in_pages(self, data):
        first = data("rules?group_limit=1")
        second = data(f"rules?group_limit=1&group_next_token={first['groupNextToken']}")

        assert [group["name"] for group in (*first["groups"], *second["groups"])] == ["http", "more"]
        assert "groupNextToken" not in second
        assert "groupNextToken" not in data("rules?group_limit=2")

    @pytest.mark.parametrize(
        ("query", "name"),
        [
            ("type=all", "type"),
            ("exclude_alerts=perhaps", "exclude_alerts"),
            ("group_limit=-1", "group_limit"),
            ("group_next_token=x", "group_next_token"),
            ("group_limit=1&group_next_token=x", "group_next_token"),
            ("match[]={", "match[]"),
            ("match[]=sum(up)", "match[]"),
        ],
    )
    def test_chosen_by_nonsense_name_the_parameter(self, data, query, name):
        response = data(f"rules?{query}")

        assert response.status_code == 400
        assert response.json()["error"].startswith(f'invalid parameter "{name}": ')


def test_alerts_of_all_rules(data):
    alerts = data("alerts")["alerts"]

    assert [(alert["labels"]["alertname"], alert["state"], alert["value"]) for alert in alerts] == [
        ("Failing", "firing", "0.041"),
        ("Slow", "pending", "+Inf"),
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?state=firing", ["Failing"]),
        ("?state=pending", ["Slow"]),
        ('?match[]={job="shop"}', ["Failing"]),
        ('?match[]={job="shop"}&state=pending', []),
    ],
)
def test_alerts_are_chosen(data, query, names):
    assert [alert["labels"]["alertname"] for alert in data("alerts" + query)["alerts"]] == names


class TestMetadata:
    def test_says_what_targets_say_of_a_metric(self, data):
        assert data("metadata") == {
            "http_requests_total": [
                {"type": "counter", "help": "All requests", "unit": ""},
                {"type": "counter", "help": "Requests", "unit": ""},
            ],
            "up": [{"type": "gauge", "help": "Whether it answers", "unit": ""}],
        }

    @pytest.mark.parametrize(
        ("query", "counts"),
        [
            ("?metric=up", {"up": 1}),
            ("?metric=none", {}),
            ("?limit=1", {"http_requests_total": 2}),
            ("?limit_per_metric=1", {"http_requests_total": 1, "up": 1}),
            ("?limit=0", {"http_requests_total": 2, "up": 1}),
        ],
    )
    def test_is_chosen_and_cut(self, data, query, counts):
        assert {name: len(entries) for name, entries in data("metadata" + query).items()} == counts

    def test_may_be_unknown(self, site):
        assert site.get("/api/v1/metadata").json() == {"status": "success", "data": {}}


class TestStatus:
    def test_of_the_build(self, data):
        build = data("status/buildinfo")

        assert (build["version"], build["application"]) == ("0.1.0", "trackside")

    def test_of_the_run(self, data):
        assert data("status/runtimeinfo")["startTime"] == "2025-11-25T13:02:15.000Z"

    def test_of_the_configuration(self, data):
        assert data("status/config") == {"yaml": "scrape_configs: []\n"}

    def test_of_the_flags(self, data):
        assert data("status/flags") == {"web.external-url": "https://monitoring.example"}


class TestTheServerItself:
    def test_reloads(self, site):
        assert site.post("/-/reload").status_code == 200
        assert site.ask("PUT", "/-/reload").status_code == 200
        assert len(site.reloads) == 2

    def test_says_why_it_did_not_reload(self, site):
        site.reload_error = "trackside.yml:3: unknown key 'scrap_configs'"

        response = site.post("/-/reload")

        assert response.status_code == 500
        assert site.reload_error in response.text

    def test_reloads_by_no_link(self, site):
        assert site.get("/-/reload").status_code == 405
        assert site.reloads == []

    def test_leads_links_of_prometheus_to_explore(self, site):
        response = site.get("/graph?g0.expr=up%7Bjob%3D%22a%22%7D&g0.tab=1")

        assert response.headers["location"] == "/explore?expr=up%7Bjob%3D%22a%22%7D"
