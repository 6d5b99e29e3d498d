"""No file names a receiver, three variables do: what is told, to whom, and what it says."""

import io
import re

import httpx
import pytest
from PIL import Image

CONFIG = """
global: {scrape_interval: 5s, scrape_timeout: 2s, evaluation_interval: 5s}
scrape_configs:
- job_name: shop
  static_configs: [{targets: ["shop:8000"]}]
rule_files: [rules.yml]
"""
RULES = """
groups:
- name: shop
  rules:
  - alert: ShopDown
    expr: up{job="shop"} < 0.5
    labels: {severity: critical}
    annotations: {summary: the shop does not answer, runbook_url: 'http://runbooks/shop'}
"""


async def shop(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"up_and_well 1\n"})


@pytest.fixture
def world(make_world, monkeypatch):
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.example/services/x")
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "a-key")
    world = make_world(RULES)
    world.stop_server()
    (world.folder / "trackside.yml").write_text(CONFIG)
    world.start_server()
    return world


def test_a_critical_alert_pages_and_goes_to_the_chat(world):
    world.app = shop
    world.advance(1_000)
    assert world.received == []
    world.app = None
    world.advance(60)
    by_kind = {"pagerduty" if "dedup_key" in body else "slack": body for body in world.received}
    assert len(world.received) == 2
    assert (by_kind["pagerduty"]["event_action"], by_kind["pagerduty"]["payload"]["severity"]) == (
        "trigger",
        "critical",
    )
    attachment, chart = by_kind["slack"]["attachments"]
    assert by_kind["slack"]["username"] == "Trackside"
    assert attachment["title"] == "[FIRING:1] ShopDown (shop:8000 shop critical)"
    first, second = attachment["text"].splitlines()
    assert first == "the shop does not answer"
    # Since when, the value, and where to go.
    assert re.match(r"_since Nov 14 22:\d\d UTC, value 0_ <http://trackside/explore\?", second)
    assert "<http://runbooks/shop|Runbook>" in second
    assert "<http://trackside/silences/new?matchers=alertname%3D%22ShopDown%22%0A" in second
    assert attachment["title_link"] == "http://trackside/alerts?filter=alertname%3D%22ShopDown%22"
    # And the chart, which the chat fetches without being anybody.
    (block,) = chart["blocks"]
    assert re.match(r"ShopDown: between 0 and 1 in the last 60 minutes, last 0; limit 0\.5; firing", block["alt_text"])
    picture = world.loop.run_until_complete(fetched(world.server.asgi, block["image_url"]))
    assert Image.open(io.BytesIO(picture)).size == (960, 240)
    assert {link["text"] for link in by_kind["pagerduty"]["links"]} == {"Runbook", "Graph", "Silence", "Alert"}


async def fetched(asgi, url):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi)) as client:
        answer = await client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return answer.content


def test_its_end_is_told_too(world):
    world.advance(60)
    world.app = shop
    world.advance(330)
    ends = world.received[2:]
    assert sorted(body.get("event_action", "slack") for body in ends) == ["resolve", "slack"]
    attachment, _ = next(body for body in ends if "attachments" in body)["attachments"]
    assert attachment["color"] == "good"
    assert attachment["text"].startswith(":white_check_mark: the shop does not answer\n_over since 22:1")
