"""A request in somebody's app, until it is a chart and has woken someone. Six minutes of it in a moment."""

import pytest
from fastapi import FastAPI, HTTPException

from trackside import Monitor

RULES = """
groups:
- name: requests
  rules:
  - record: job:http_requests:rate1m
    expr: sum by (job) (rate(http_requests_total[1m]))
  - alert: RequestsFailing
    expr: |
      sum by (job, path) (rate(http_requests_total{status=~"5.."}[30s]))
        / sum by (job, path) (rate(http_requests_total[30s])) > 0.5
    for: 10s
    labels: {severity: page}
    annotations: {summary: '{{ $value | humanizePercentage }} of {{ $labels.path }} fail'}
  - alert: ShopDown
    expr: up{job="shop"} == 0
    for: 10s
"""


class Shop:
    def __init__(self) -> None:
        self.app = FastAPI()
        self.broken = False
        Monitor("shop").watch(self.app)

        @self.app.get("/pay/{order}")
        def pay(order: int) -> str:
            if self.broken:
                raise HTTPException(502)
            return "paid"


@pytest.fixture
def world(make_world):
    return make_world(RULES)


@pytest.fixture
def shop(world):
    shop = Shop()
    world.app = shop.app
    return shop


def paying(world):
    return lambda: world.requests("GET", "/pay/17", 2)


def states(world):
    return [alert["state"] for alert in world.get("/api/v1/alerts")["alerts"]]


def test_a_request_is_counted_under_its_route(world, shop):
    world.advance(70, paying(world))

    assert world.value('sum(rate(http_requests_total{path="/pay/{order}",status="200"}[1m]))') == pytest.approx(
        2, rel=0.1
    )
    assert world.value("job:http_requests:rate1m") == pytest.approx(2, rel=0.1)
    assert (
        world.value('histogram_quantile(0.5, rate(http_request_duration_seconds_bucket{path="/pay/{order}"}[1m]))') > 0
    )


def test_failing_requests_become_an_alert_that_arrives_and_resolves(world, shop):
    world.advance(60, paying(world))
    assert states(world) == []

    shop.broken = True
    world.advance(20, paying(world))
    assert states(world) == ["pending"]
    world.advance(20, paying(world))
    assert states(world) == ["firing"]
    (firing,) = world.received
    (alert,) = firing["alerts"]
    assert firing["status"] == "firing"
    assert alert["labels"] == {
        "alertname": "RequestsFailing",
        "job": "shop",
        "path": "/pay/{order}",
        "severity": "page",
    }
    assert alert["annotations"]["summary"].endswith("% of /pay/{order} fail")

    shop.broken = False
    world.advance(60, paying(world))
    assert states(world) == []
    assert [one["status"] for one in world.received] == ["firing", "resolved"]


def test_a_target_that_dies_is_down_and_its_series_are_stale(world, shop):
    world.advance(30, paying(world))
    world.app = None
    world.advance(40)

    assert world.value("up{job='shop'}") == 0
    assert world.value("http_requests_total") is None
    (target,) = [t for t in world.get("/api/v1/targets")["activeTargets"] if t["labels"]["job"] == "shop"]
    assert target["health"] == "down"
    assert "refused" in target["lastError"]
    assert [one["groupLabels"] for one in world.received] == [{"alertname": "ShopDown"}]


def test_a_restart_of_the_app_is_not_a_negative_rate(world, shop):
    world.advance(60, paying(world))
    world.app = None
    world.advance(10)
    world.app = Shop().app
    world.advance(60, paying(world))

    assert world.value('min_over_time(sum(rate(http_requests_total{path="/pay/{order}"}[1m]))[1m:5s])') >= 0


def test_the_page_shows_what_happened(world, shop):
    world.advance(60, paying(world))
    calm = world.page("/")
    shop.broken = True
    world.advance(60, paying(world))

    assert "/pay/{order}" in calm
    assert "RequestsFailing" not in calm
    assert "fail" in world.page("/")
    assert "RequestsFailing" in world.page("/alerts")
    assert "shop:8000" in world.page("/targets")


def test_a_restart_of_the_server_keeps_history_and_the_alert(world, shop):
    world.advance(60, paying(world))
    shop.broken = True
    world.advance(45, paying(world))
    assert states(world) == ["firing"]

    world.stop_server()
    world.start_server()
    world.advance(30, paying(world))

    assert world.value('count_over_time(up{job="shop"}[2m])') >= 22
    assert states(world) == ["firing"]
    assert [one["status"] for one in world.received] == ["firing"], "told once, not again after the restart"


def test_a_receiver_that_was_away_hears_the_truth_afterwards(world, shop):
    world.receiver_is_up = False
    shop.broken = True
    world.advance(60, paying(world))
    assert world.received == []

    world.receiver_is_up = True
    world.advance(60, paying(world))
    assert [one["status"] for one in world.received] == ["firing"]


def test_the_server_is_its_own_target(world):
    world.advance(30)

    assert world.value('up{job="trackside"}') == 1
    assert world.value('trackside_storage_series{job="trackside"}') > 10


def test_the_rules_are_told_in_one_line_each(world):
    rules = world.get("/api/v1/rules")["groups"][0]["rules"]

    assert [rule["name"] for rule in rules] == ["job:http_requests:rate1m", "RequestsFailing", "ShopDown"]
    assert rules[1]["query"] == (
        'sum by (job, path) (rate(http_requests_total{status=~"5.."}[30s]))'
        " / sum by (job, path) (rate(http_requests_total[30s])) > 0.5"
    )
