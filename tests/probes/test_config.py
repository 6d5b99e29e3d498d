from textwrap import dedent

import pytest

from trackside.exceptions import ConfigError
from trackside.server.probes.config import UptimeConfig
from trackside.server.probes.result import Kind
from trackside.server.schema import Section
from trackside.server.yamlfile import parse_yaml, section_of


class Root(Section):
    uptime: UptimeConfig = UptimeConfig()


def read(text):
    return section_of(parse_yaml(dedent(text), "trackside.yml"), Root).uptime


EXAMPLE = """
    uptime:
      checks:
        - name: api
          url: https://api.your-domain.com/api/v1/health
          interval: 1m
          timeout: 10s
          json: {status: ok}
        - name: websocket
          url: wss://api.your-domain.com/ws
          interval: 5m
          timeout: 30s
        - name: app
          url: https://app.your-domain.com
          interval: 1m
          timeout: 10s
        - name: ready
          url: https://api.your-domain.com/api/v1/health/ready
          json: {status: ready, db: true, redis: true}
      heartbeats:
        - name: nightly backup
          schedule: 30 2 * * *
          timezone: Europe/Berlin
          grace: 30m
          max_run: 2h
      maintenance:
        - name: patch night
          checks: [api, websocket]
          days: [sun]
          from: 22:30
          to: 01:00
          timezone: Europe/Berlin
      anchors: [tcp://192.0.2.1:443]
"""


def test_the_table_of_a_real_deployment():
    config = read(EXAMPLE)

    rows = [(one.url, one.interval, one.timeout, one.kind) for one in config.checks]
    assert rows == [
        ("https://api.your-domain.com/api/v1/health", 60_000, 10_000, Kind.HTTP),
        ("wss://api.your-domain.com/ws", 300_000, 30_000, Kind.WEBSOCKET),
        ("https://app.your-domain.com", 60_000, 10_000, Kind.HTTP),
        ("https://api.your-domain.com/api/v1/health/ready", 60_000, 10_000, Kind.HTTP),
    ]
    assert config.checks[3].json_ == {"status": "ready", "db": True, "redis": True}
    assert config.heartbeats[0].most_run_ms == 7_200_000
    assert [(one.retry_ms, one.step_ms) for one in config.checks[:2]] == [(15_000, 15_000), (30_000, 30_000)]


def one(**keys):
    check = {"name": "it", "url": "https://a.example/", **keys}
    return UptimeConfig.model_validate({"checks": [check]}).checks[0]


MODULES = [
    ("http_2xx", "a.example/x", "http://a.example/x", {"status": ((200, 299),)}),
    ("http_post_2xx", "https://a.example", "https://a.example", {"method": "POST"}),
    ("tcp_connect", "a.example:22", "tcp://a.example:22", {"expect": "", "with_tls": False}),
    ("ssh_banner", "a.example:22", "tcp://a.example:22", {"expect": r"^SSH-2\.0-"}),
    ("pop3s_banner", "a.example:995", "tcp://a.example:995", {"with_tls": True}),
    ("dns_udp", "192.0.2.1/a.example", "dns://192.0.2.1/a.example", {"transport": "udp"}),
    ("dns_tcp", "dns://192.0.2.1/a.example", "dns://192.0.2.1/a.example", {"transport": "tcp"}),
]


@pytest.mark.parametrize(("module", "url", "full", "keys"), MODULES, ids=[row[0] for row in MODULES])
def test_module_names_of_the_blackbox_exporter(module, url, full, keys):
    check = one(module=module, url=url)

    assert check.url == full
    assert {name: getattr(check, name) for name in keys} == keys


def test_what_is_written_wins_over_the_module():
    assert one(module="http_post_2xx", method="PUT").method == "PUT"


WRONG = [
    ({"url": "ftp://a.example"}, "url", "expected an address that begins with http://"),
    ({"url": "icmp://a.example"}, "url", "raw sockets"),
    ({"url": "a.example"}, "url", "expected an address that begins with"),
    ({"url": "https://"}, "url", "expected a host name"),
    ({"url": "https://me:secret@a.example/"}, "url", "no user name or password"),
    ({"url": "tcp://a.example"}, "url", "expected tcp://host:port"),
    ({"url": "tcp://a.example:0"}, "url", "not a port: 0"),
    ({"url": "http://a.example:99999/"}, "url", "not a port: 99999"),
    ({"url": "http://a b/"}, "url", "not a host name: 'a%20b'"),
    ({"url": "http://a\nb/"}, "url", "not an address"),
    ({"url": "dns://192.0.2.1/"}, "", "url: expected dns://server/name"),
    ({"url": "dns://192.0.2.1/a", "record": "NOPE"}, "", "record: 'NOPE' is no type of record"),
    ({"url": "dns://192.0.2.1/a", "rcode": "NOPE"}, "", "rcode: 'NOPE' is no code"),
    ({"url": "dns://192.0.2.1/a?type=MX", "record": "A"}, "", "record: A and the url's type=MX are two"),
    ({"url": f"dns://192.0.2.1/{'a' * 64}"}, "", "no name to ask for"),
    ({"module": "icmp"}, "", "module: icmp needs raw sockets"),
    ({"module": "grpc_plain"}, "", "module: gRPC is not probed"),
    ({"module": "nope"}, "", "module: 'nope' is not known; there are: http_2xx"),
    ({"module": "tcp_connect"}, "", "module: tcp_connect is for tcp, and the url is https://"),
    ({"interval": "10s", "timeout": "11s"}, "", "timeout: expected more than 0 and not more than the interval"),
    ({"timeout": "0s"}, "", "timeout: expected more than 0"),
    ({"interval": "100ms", "timeout": "50ms"}, "", "interval: expected 1s or more"),
    ({"retry_interval": "5s"}, "", "retry_interval: expected at least the timeout"),
    ({"retry_interval": "5m"}, "", "retry_interval: expected at least the timeout and at most the interval"),
    ({"send": "x"}, "", "send: means nothing for https://; for ws://, wss://, tcp://"),
    ({"url": "tcp://a:1", "json": {"a": 1}}, "", "json: means nothing for tcp://; for http://, https://"),
    ({"status": 99}, "status", "not a status: 99"),
    ({"status": "ok"}, "status", "not a status: 'ok'"),
    ({"status": True}, "status", "not a status: True"),
    ({"method": "get"}, "method", "not a method: 'get'"),
    ({"method": "HEAD", "keyword": "x"}, "", "method: the answer to HEAD has no body"),
    ({"matches": "("}, "matches", "not a regular expression"),
    ({"expect_header": {"X": "("}}, "expect_header.X", "not a regular expression"),
    ({"headers": {"X": "a\r\nY: b"}}, "headers", "not a header: 'X'"),
    ({"headers": {"X Y": "a"}}, "headers", "not a header: 'X Y'"),
    ({"headers": {"Content-Length": "5"}}, "headers", "written by the probe itself"),
    ({"json": {"a..b": 1}}, "json", "not a path: 'a..b'"),
    ({"ip": 5}, "ip", "expected 'any', '4' or '6'"),
    ({"labels": {"check": "x"}}, "labels", "'check' cannot be a label"),
    ({"bearer_token": "x", "basic_auth": {"username": "a"}}, "", "bearer_token: there is basic_auth already"),
    ({"intervall": "1m"}, "intervall", "did you mean 'interval'?"),
    ({"flapping": {"changes": 1}}, "flapping.changes", "greater than or equal to 2"),
    ({"conditions": ["[STATUS]==200"]}, "conditions[0]", "not a condition"),
    ({"conditions": ["[DOMAIN_EXPIRATION] > 720h"]}, "conditions[0]", "[DOMAIN_EXPIRATION] is nothing a check knows"),
    ({"method": "HEAD", "conditions": ["len([BODY]) > 1"]}, "", "method: the answer to HEAD has no body"),
    ({"name": ""}, "", "name: a check needs one"),
    ({"name": "a\nb"}, "name", "expected one line"),
]


@pytest.mark.parametrize(("keys", "key", "text"), WRONG, ids=[f"{row[0]}"[:60] for row in WRONG])
def test_mistakes_name_the_key_and_what_was_expected(keys, key, text):
    import json

    check = {"name": "it", "url": "https://a.example/", **keys}
    document = f"uptime:\n  checks:\n  - {json.dumps(check)}\n"

    with pytest.raises(ConfigError) as caught:
        read(document)

    message = str(caught.value)
    assert message.startswith("trackside.yml:3: uptime.checks[0]" + (f".{key}" if key else "")), message
    assert text in message


HEARTBEATS = [
    ({}, "needs one of period and schedule"),
    ({"period": "1d", "schedule": "@daily"}, "needs one of period and schedule"),
    ({"schedule": "* * *"}, "schedule: not a schedule"),
    ({"period": "1d", "timezone": "Mars/Base"}, "not a time zone: 'Mars/Base'"),
    ({"period": "1d", "key": "short"}, "expected 24 to 100 letters"),
]


@pytest.mark.parametrize(("keys", "text"), HEARTBEATS, ids=[row[1] for row in HEARTBEATS])
def test_mistakes_in_heartbeats(keys, text):
    with pytest.raises(ValueError, match=text):
        UptimeConfig.model_validate({"heartbeats": [{"name": "it", **keys}]})


TOGETHER = [
    ({"checks": [{"name": "a", "url": "tcp://a:1"}] * 2}, "checks: 'a' stands there twice"),
    ({"heartbeats": [{"name": "a", "period": "1d"}] * 2}, "heartbeats: 'a' stands there twice"),
    ({"maintenance": [{"checks": ["b"], "from": "01:00", "to": "02:00"}]}, "is for 'b', which is no check, heartbeat"),
    ({"anchors": ["https://a"]}, "expected tcp://host:port"),
    ({"checks": [{"name": "a", "url": "tcp://a:1", "depends_on": "b"}]}, "'a' depends on 'b', which is no check"),
    (
        {
            "checks": [
                {"name": "a", "url": "tcp://a:1", "depends_on": "b"},
                {"name": "b", "url": "tcp://b:1", "depends_on": ["a"]},
            ]
        },
        "'a' depends on itself",
    ),
]


@pytest.mark.parametrize(("tree", "text"), TOGETHER, ids=[row[1] for row in TOGETHER])
def test_mistakes_that_no_entry_makes_alone(tree, text):
    with pytest.raises(ValueError, match=text):
        UptimeConfig.model_validate(tree)


def test_secrets_are_not_shown():
    assert "hunter2" not in repr(one(basic_auth={"username": "a", "password": "hunter2"}))
    assert "hunter2" not in repr(one(bearer_token="hunter2"))
