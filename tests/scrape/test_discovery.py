"""Targets from files, HTTP and the DNS; what fails keeps what was found before."""

import asyncio
import json
import os

import httpx
import pytest

from trackside.server.scrape.clients import Clients
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.discovery import FILES_EVERY_MS, Discovery


class Found:
    """A discovery and the time."""

    def __init__(self, answer=None, resolve_srv=None, **keys):
        transport = httpx.MockTransport(lambda request: answer())
        clients = Clients(lambda config: httpx.AsyncClient(transport=transport))
        more = {} if resolve_srv is None else {"resolve_srv": resolve_srv}
        config = ScrapeConfig.model_validate({"job_name": "shop", **keys})
        self.discovery, self.now_ms = Discovery(config, clients, **more), 0

    def look(self, after_ms=FILES_EVERY_MS):
        self.now_ms += after_ms
        asyncio.run(self.discovery.refresh(self.now_ms))
        return [target["__address__"] for target in self.discovery.targets()]


def write(path, text):
    path.write_text(text)
    # The clock of a file system may be too coarse to tell two writes of a test apart.
    stamp = write.stamp = getattr(write, "stamp", 1_000) + 1
    os.utime(path, (stamp, stamp))


GROUP = [{"targets": ["a:1", "b:2"], "labels": {"env": "prod"}}]


def test_static_targets():
    found = Found(static_configs=GROUP)
    assert found.look() == ["a:1", "b:2"]
    assert found.discovery.targets()[0] == {"__address__": "a:1", "env": "prod"}
    assert not found.discovery.changes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps(GROUP)),
        ("t.yml", "- targets: ['a:1', b:2]\n  labels: {env: prod}\n"),
        ("t.yaml", "- targets:\n  - a:1\n  - b:2\n  labels:\n    env: prod\n"),
    ],
)
def test_files_of_each_kind(tmp_path, name, text):
    write(tmp_path / name, text)
    found = Found(file_sd_configs=[{"files": [str(tmp_path / name)]}])
    assert found.look() == ["a:1", "b:2"]
    assert found.discovery.targets()[1] == {
        "__address__": "b:2",
        "__meta_filepath": str(tmp_path / name),
        "env": "prod",
    }


def test_files_come_change_and_go(tmp_path):
    found = Found(file_sd_configs=[{"files": [str(tmp_path / "*.json")], "refresh_interval": "1h"}])
    assert found.look() == []
    write(tmp_path / "b.json", '[{"targets": ["b:1"]}]')
    write(tmp_path / "a.json", '[{"targets": ["a:1"]}]')
    assert found.look() == ["a:1", "b:1"]
    write(tmp_path / "a.json", '[{"targets": ["a:2"]}]')
    assert found.look(after_ms=1) == ["a:1", "b:1"]
    assert found.look() == ["a:2", "b:1"]
    (tmp_path / "b.json").unlink()
    assert found.look() == ["a:2"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[{"targets": ["a:', id="half written"),
        pytest.param('{"targets": ["a:1"]}', id="no list"),
        pytest.param('[{"targets": ["http://a:1/"]}]', id="a URL"),
        pytest.param('[{"target": ["a:1"]}]', id="a typo"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param('[{"targets": [1]}]', id="a number"),
    ],
)
def test_a_broken_file_keeps_its_last_good_targets_and_is_counted_once(tmp_path, text):
    found = Found(file_sd_configs=[{"files": [str(tmp_path / "*.json")]}])
    write(tmp_path / "a.json", '[{"targets": ["a:1"]}]')
    write(tmp_path / "b.json", '[{"targets": ["b:1"]}]')
    found.look()
    write(tmp_path / "a.json", text)
    write(tmp_path / "b.json", '[{"targets": ["b:2"]}]')
    assert found.look() == ["a:1", "b:2"]
    assert found.look() == ["a:1", "b:2"]
    assert found.discovery.failures_total == 1
    assert "a.json" in found.discovery.last_error
    write(tmp_path / "a.json", '[{"targets": ["a:3"]}]')
    assert found.look() == ["a:3", "b:2"]


def test_broken_yaml_and_binary_files_are_no_crash(tmp_path):
    write(tmp_path / "a.yml", "- targets: [a:1\n  &x")
    (tmp_path / "b.yml").write_bytes(b"\xff\xfe\x00")
    found = Found(file_sd_configs=[{"files": [str(tmp_path / "*.yml")]}])
    assert found.look() == []
    assert found.discovery.failures_total == 2


def test_an_http_endpoint_lists_targets():
    answers = [
        httpx.Response(200, json=GROUP),
        httpx.Response(500),
        httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx.Response(200, text="[", headers={"content-type": "application/json"}),
        httpx.Response(200, json={"targets": []}),
        httpx.Response(200, json=[]),
    ]
    found = Found(lambda: answers.pop(0), http_sd_configs=[{"url": "http://sd/targets", "refresh_interval": "1m"}])
    assert found.look() == ["a:1", "b:2"]
    assert found.discovery.targets()[0]["__meta_url"] == "http://sd/targets"
    assert found.look() == ["a:1", "b:2"]
    for failures in (1, 2, 3, 4):
        assert found.look(after_ms=60_000) == ["a:1", "b:2"]
        assert found.discovery.failures_total == failures
    assert found.look(after_ms=60_000) == []


def test_service_records_of_the_dns():
    answers = [[("one.example", 8000), ("two.example", 8001)], OSError("no SRV records")]

    async def resolve(name):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    found = Found(resolve_srv=resolve, dns_sd_configs=[{"names": ["_shop._tcp.example"]}])
    assert found.look() == ["one.example:8000", "two.example:8001"]
    assert found.discovery.targets()[0] == {
        "__address__": "one.example:8000",
        "__meta_dns_name": "_shop._tcp.example",
        "__meta_dns_srv_record_target": "one.example.",
        "__meta_dns_srv_record_port": "8000",
    }
    assert found.look(after_ms=30_000) == ["one.example:8000", "two.example:8001"]
    assert found.discovery.last_error == "no SRV records"


def test_addresses_of_the_dns():
    found = Found(dns_sd_configs=[{"names": ["localhost"], "type": "A", "port": 8000}])
    assert found.look() == ["127.0.0.1:8000"]


def test_a_name_that_does_not_exist_is_counted():
    found = Found(dns_sd_configs=[{"names": ["nothing.invalid"], "type": "A", "port": 8000}])
    assert found.look() == []
    assert found.discovery.failures_total == 1
