"""Alerts on their way to Alertmanagers that answer, refuse, or are not there."""

import asyncio
import json

import httpx
import pytest
from pydantic import ValidationError

from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.handover.alertmanagers import MAX_BATCH, QUEUE_CAPACITY, Alertmanagers
from trackside.server.handover.config import AlertingConfig, AlertmanagerConfig


def alert(name: str = "Down", **labels: str) -> Alert:
    return Alert(Labels.of(labels, alertname=name), Labels(), AlertState.FIRING, 1.0, 0, 0)


def config(*targets: str, **more) -> AlertingConfig:
    managers = [{"static_configs": [{"targets": list(targets)}], **more}]
    return AlertingConfig.model_validate({"alertmanagers": managers})


class Site:
    def __init__(self) -> None:
        self.registry = Registry()
        self.posts: list[tuple[str, list[dict], httpx.Headers]] = []
        self.status: dict[str, int | Exception] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        told = self.status.get(request.url.host, 200)
        if isinstance(told, Exception):
            raise told
        self.posts.append((str(request.url), json.loads(request.content), request.headers))
        return httpx.Response(told)

    def run(self, story, using: AlertingConfig | None = None):
        async def whole():
            transport = httpx.MockTransport(self.answer)
            managers = Alertmanagers(self.registry, lambda config: httpx.AsyncClient(transport=transport))
            await managers.apply(using or config("one:9093"))
            await story(managers)
            await managers.drain()
            await managers.close()

        asyncio.run(whole())

    def count(self, what: str, url: str = "http://one:9093/api/v2/alerts") -> float:
        family = self.registry.counter(f"trackside_alertmanager_{what}_total", labels=("alertmanager",))
        return family.labels(url).raw()[0]


@pytest.fixture
def site():
    return Site()


def test_each_alertmanager_is_told_in_batches(site):
    many = [alert(n=str(number)) for number in range(MAX_BATCH + 1)]

    async def story(managers):
        managers.offer(many, 0, 15_000)

    site.run(story, config("one:9093", "two:9093"))
    assert [(url, len(alerts)) for url, alerts, _ in site.posts if "one" in url] == [
        ("http://one:9093/api/v2/alerts", MAX_BATCH),
        ("http://one:9093/api/v2/alerts", 1),
    ]
    assert sum(len(alerts) for url, alerts, _ in site.posts if "two" in url) == MAX_BATCH + 1
    assert site.count("sent") == MAX_BATCH + 1


@pytest.mark.parametrize("trouble", [503, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_one_that_does_not_take_them_is_counted_and_delays_no_other(site, trouble):
    site.status["one"] = trouble

    async def story(managers):
        managers.offer([alert()], 0, 15_000)

    site.run(story, config("one:9093", "two:9093"))
    assert site.count("errors") == 1
    assert [url for url, _, _ in site.posts if "two" in url] == ["http://two:9093/api/v2/alerts"]


def test_it_is_told_again_after_the_delay_though_it_did_not_take_it(site):
    site.status["one"] = httpx.ConnectError("refused")

    async def story(managers):
        managers.offer([alert()], 0, 15_000)
        await managers.drain()
        site.status.clear()
        for now_ms in (30_000, 60_001):
            managers.offer([alert()], now_ms, 15_000)

    site.run(story)
    assert len(site.posts) == 1


def test_too_many_that_wait_drop_the_oldest(site):
    async def story(managers):
        managers.offer([alert(n=str(number)) for number in range(QUEUE_CAPACITY + 5)], 0, 15_000)

    site.run(story)
    assert site.count("dropped") == 5
    assert site.posts[0][1][0]["labels"]["n"] == "5"


def test_labels_are_rewritten_on_the_way_out(site):
    using = AlertingConfig.model_validate(
        {
            "alert_relabel_configs": [
                {"action": "labeldrop", "regex": "replica"},
                {"source_labels": ["alertname"], "regex": "Secret", "action": "drop"},
            ],
            "alertmanagers": [{"static_configs": [{"targets": ["one:9093"]}]}],
        }
    )

    async def story(managers):
        managers.offer([alert(replica="a"), alert("Secret")], 0, 15_000)

    site.run(story, using)
    assert [each["labels"] for each in site.posts[0][1]] == [{"alertname": "Down"}]


def test_credentials_and_the_prefix_are_used(site):
    async def story(managers):
        managers.offer([alert()], 0, 15_000)

    more = {"path_prefix": "/alerts/", "scheme": "https", "basic_auth": {"username": "u", "password": "p"}}
    site.run(story, config("one", **more))
    ((url, _, headers),) = site.posts
    assert url == "https://one/alerts/api/v2/alerts"
    assert headers["authorization"] == "Basic dTpw"


def test_a_new_configuration_is_told_everything(site):
    async def story(managers):
        managers.offer([alert()], 0, 15_000)
        await managers.apply(config("one:9093"))
        managers.offer([alert()], 1, 15_000)
        await managers.apply(config("two:9093"))
        managers.offer([alert()], 2, 15_000)

    site.run(story)
    assert [url for url, _, _ in site.posts] == ["http://one:9093/api/v2/alerts", "http://two:9093/api/v2/alerts"]


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        pytest.param({"kubernetes_sd_configs": []}, "named by static_configs", id="discovery"),
        pytest.param({"api_version": "v1"}, "gone from Alertmanager", id="old API"),
        pytest.param({"static_configs": [{"targets": ["http://x"]}]}, "expected host:port", id="a URL"),
        pytest.param({"tls_config": {"cert_file": "x"}}, "one is no use without the other", id="half a certificate"),
    ],
)
def test_what_cannot_be_used_is_refused(section, reason):
    with pytest.raises(ValidationError, match=reason):
        AlertmanagerConfig.model_validate(section)


def test_addresses_are_relabelled():
    section = {
        "static_configs": [{"targets": ["a:1", "b:1", "a:1"], "labels": {"zone": "x"}}],
        "relabel_configs": [{"source_labels": ["__address__"], "regex": "b.*", "action": "drop"}],
    }
    assert AlertmanagerConfig.model_validate(section).urls() == ("http://a:1/api/v2/alerts",)
