"""What a backtest says of the last minutes is what happened in them: the same alerts, as many messages."""

from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI

from trackside import Monitor

RULES = """
groups:
- name: shop
  rules:
  - record: "job:up:min"
    expr: min by (job) (up{job="shop"})
  - alert: ShopDown
    expr: job:up:min == 0
    for: 10s
    annotations: {summary: "{{ $labels.job }} is down"}
"""
RUNBOOK = """## Shop down

```promql
up{job="{{ $labels.job }}"}
```
"""


@pytest.fixture
def world(make_world, tmp_path):
    (tmp_path / "RUNBOOK.md").write_text(RUNBOOK)
    world = make_world(RULES)
    shop = FastAPI()
    Monitor("shop").watch(shop)

    def seconds(count: int, *, up: bool) -> None:
        world.app = shop if up else None
        world.advance(count)

    world.seconds = seconds
    return world


def posted(world, path: str, **form: str):
    async def post() -> httpx.Response:
        headers = {"Authorization": f"Bearer {world.server.admin_key}"}
        transport = httpx.ASGITransport(app=world.server.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trackside", headers=headers) as client:
            return await client.post(path, data=form)

    response = world.loop.run_until_complete(post())
    assert response.status_code == 200, response.text
    return response.json()["data"]


def test_a_backtest_finds_what_happened(world):
    world.seconds(60, up=True)
    world.seconds(40, up=False)
    world.seconds(60, up=True)
    world.seconds(30, up=False)
    world.seconds(60, up=True)

    found = posted(world, "/api/v1/rules/backtest", since="250s")

    (rule,) = found["rules"]
    happened = {alert["startsAt"] for body in world.received for alert in body["alerts"]}
    assert {datetime.fromisoformat(each["firedAt"]) for each in rule["episodes"]} == {
        datetime.fromisoformat(each) for each in happened
    }
    assert rule["fired"] == 2
    assert found["notifications"]["byReceiver"] == {"chat (webhook)": len(world.received)}
    told = [datetime.fromisoformat(each["at"]) for each in found["notifications"]["list"]]
    assert told == sorted(told)


def test_another_threshold_is_tried_before_it_is_saved(world):
    world.seconds(60, up=True)
    world.seconds(40, up=False)
    world.seconds(60, up=True)

    patient = RULES.replace("for: 10s", "for: 1m")

    assert posted(world, "/api/v1/rules/backtest", since="160s", rules=patient)["rules"][0]["fired"] == 0
    assert posted(world, "/api/v1/rules/backtest", since="160s", rules=RULES)["rules"][0]["fired"] == 1


def test_the_runbook_of_a_firing_alert_has_its_figures(world):
    world.seconds(20, up=True)
    world.seconds(30, up=False)

    page = world.get("/api/v1/runbook", alert="ShopDown")

    (query,) = page["queries"]
    assert query["expr"] == 'up{job="shop"}'
    assert [each["value"] for each in query["series"]] == ["0"]


def test_the_running_rules_mean_what_they_say(world):
    world.seconds(30, up=True)

    findings = world.get("/api/v1/rules/lint")["findings"]

    assert [each for each in findings if each["level"] != "info"] == []
