"""An alertmanager.yml as a whole: names that refer to each other, files beside it, and what of it may be shown."""

import pytest
import yaml

from trackside.exceptions import ConfigError
from trackside.model.labels import Labels
from trackside.server.alerting.matchers import Syntax, matches
from trackside.server.alertmanager_config import from_text
from trackside.server.config import load_config, masked


@pytest.fixture
def load(tmp_path):
    def read(text, syntax=Syntax.FALLBACK, name="alertmanager.yml", environment=None):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return load_config(file, syntax, environment or {})

    return read


def routing(text):
    return from_text(text, "a.yml")[1].routing


@pytest.mark.conformance("alerting/upstream/routes.yaml", "routes")
@pytest.mark.conformance("alerting/upstream/matchers.yaml", "routes")
def test_who_takes_an_alert(conformance):
    case, test = conformance
    root = routing(case["config"]).root
    labels = Labels.of({name: str(value) for name, value in test["labels"].items()})
    found = root.matching(labels)
    assert [route.receiver for route in found] == test["receivers"]
    for route in found:
        expected = (test.get("group_labels") or {}).get(route.receiver)
        if expected is not None:
            assert route.group_labels(labels) == (labels if "*" in expected else Labels.of(expected))
    if "route_keys" in test:
        assert [route.key for route in found] == test["route_keys"]


BASE = "route: {receiver: r}\nreceivers: [{name: r}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("receivers: [{name: r}]", "route: is required", id="no route"),
        pytest.param(
            "route: {receiver: x}\nreceivers: [{name: r}, {name: q}]", "1: route.receiver: no receiver", id="receiver"
        ),
        pytest.param(
            "route:\n  receiver: r\n  routes:\n  - routes:\n    - receiver: x\nreceivers: [{name: r}]",
            "5: route.routes[0].routes[0].receiver: no receiver is named 'x'; there are: r",
            id="receiver far below",
        ),
        pytest.param(
            "route:\n  receiver: r\n  routes:\n  - mute_time_intervals: [a, b]\nreceivers: [{name: r}]\n"
            "time_intervals: [{name: a}]",
            "4: route.routes[0].mute_time_intervals[1]: no time interval is named 'b'; there are: a",
            id="time interval",
        ),
        pytest.param(
            "route: {receiver: r, routes: [{active_time_intervals: [b]}]}\nreceivers: [{name: r}]",
            "active_time_intervals[0]: no time interval is named 'b'; there are: none",
            id="active time interval",
        ),
        pytest.param(
            BASE + "time_intervals: [{name: w}]\nmute_time_intervals: [{name: w}]", "exists already", id="twice"
        ),
        pytest.param(
            "route: {receiver: r}\nreceivers: [{name: r}, {name: r}]", "receivers[1].name: a receiver named", id="r"
        ),
        pytest.param(
            "route: {receiver: r}\nreceivers:\n- name: r\n  slack_configs:\n  - channel: c",
            "5: receivers[0].slack_configs[0]: expected api_url",
            id="said nowhere",
        ),
        pytest.param(BASE + "tracing: {endpont: x}", "did you mean 'endpoint'?", id="unknown key of tracing"),
        pytest.param(BASE + "global: {slack_api_ulr: x}", "did you mean 'slack_api_url'?", id="unknown key of global"),
    ],
)
def test_refused(load, text, expected):
    with pytest.raises(ConfigError) as raised:
        load(text)
    assert expected in str(raised.value)
    assert "alertmanager.yml:" in str(raised.value)


def test_all_of_it(load, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.tmpl").write_text('{{ define "x" }}X{{ end }}')
    config = load(
        """
global: {resolve_timeout: 1m, slack_api_url: 'https://s/x'}
route:
  receiver: r
  routes:
  - {matchers: [a="b"], receiver: q, mute_time_intervals: [night], active_time_intervals: [day]}
receivers:
- {name: r, labels: {team: t, name: r}, slack_configs: [{channel: c}]}
- {name: q, webhook_configs: [{url: 'http://x', http_config: {tls_config: {ca_file: ca.pem}}}]}
inhibit_rules: [{name: n, source_matchers: [s=1], target_match: {t: 2}, equal: [e, e]}]
mute_time_intervals: [{name: night, time_intervals: [{times: [{start_time: 00:00, end_time: 06:00}]}]}]
time_intervals: [{name: day, time_intervals: [{}]}]
templates: [t/*.tmpl, nosuch.tmpl]
"""
    )
    told = config.notifications
    assert (told.routing.receivers, told.routing.resolve_timeout_ms) == (("r", "q"), 60_000)
    assert told.routing.receiver_labels == {"r": Labels.of(team="t")}
    (rule,) = told.routing.inhibit_rules
    assert (rule.name, rule.equal) == ("n", ("e",))
    assert matches(rule.source_matchers, Labels.of(s="1"))
    assert matches(rule.target_matchers, Labels.of(t="2"))
    assert not matches(rule.target_matchers, Labels.of(t="3"))
    assert rule.equal_values(Labels.of(e="x")) == ("x",)
    assert told.routing.time_intervals["night"].contains(5 * 3_600_000)
    assert told.routing.time_intervals["day"].contains(0)
    (route,) = told.routing.root.routes
    assert (route.mute_time_intervals, route.active_time_intervals) == (("night",), ("day",))
    assert list(config.templates.values()) == ['{{ define "x" }}X{{ end }}']
    assert told.receivers[0].slack_configs[0].api_url.get_secret_value() == "https://s/x"
    assert told.receivers[1].webhook_configs[0].http.tls_config.ca_file == str(tmp_path / "ca.pem")


def test_a_template_file_that_is_none(load, tmp_path):
    (tmp_path / "a.tmpl").write_text("\n{{ nosuch }}")
    with pytest.raises(ConfigError, match=r"a\.tmpl:2: function 'nosuch' is not defined"):
        load(BASE + "templates: ['*.tmpl']")


def test_the_same_keys_in_trackside_yml(load):
    text = BASE + "global: {scrape_interval: 5s, resolve_timeout: 2m}\nstorage: {}\n"
    config = load(text, name="trackside.yml")
    assert config.root.global_.scrape_interval == 5_000
    assert config.notifications.routing.resolve_timeout_ms == 120_000
    assert load("scrape_configs: []\n").notifications is None


@pytest.mark.parametrize(
    ("text", "syntax", "value"),
    [
        pytest.param(r"qux=\"\\x41\"", Syntax.FALLBACK, r"\x41", id="fallback"),
        pytest.param(r"qux=\"\\x41\"", Syntax.UTF8, "A", id="strict"),
    ],
)
def test_matchers_are_read_as_asked(load, text, syntax, value):
    told = load(f'route: {{receiver: r, routes: [{{matchers: ["{text}"]}}]}}\nreceivers: [{{name: r}}]', syntax)
    assert told.notifications.routing.root.routes[0].matchers[0].value == value


def test_what_is_asked_for_and_not_done_is_said(load):
    config = load(
        "route: {receiver: r, routes: [{matchers: ['a=']}]}\n"
        "receivers:\n"
        "- name: r\n"
        "  webhook_configs: [{url: 'http://x'}]\n"
        "tracing: {endpoint: x}\n"
    )
    lines = [note.partition("alertmanager.yml:")[2] for note in config.notes]
    assert lines[0] == "5: tracing: has no effect in this version"
    assert lines[1].startswith("1: route.routes[0].matchers[0]: warning: 'a=' is read as a classic matcher")


def test_the_original_is_alertmanagers_without_secrets(load):
    config = load(
        """
global: {scrape_interval: 5s, smtp_auth_password: abc-secret, opsgenie_api_key: abc-secret, pagerduty_url: 'http://p'}
route: {receiver: r, match_re: {}, routes: [{match: {v: 1.10}, matchers: &m [a="b"]}, {matchers: *m}]}
receivers:
- name: r
  apprise_configs: [{url: 'json://abc-secret'}]
  slack_configs:
  - api_url: 'https://abc-secret'
    channel: c
    http_config: {basic_auth: {username: u, password: abc-secret}}
  pagerduty_configs: [{routing_key: abc-secret, details: {a: [b, {c: 1}]}}]
  webhook_configs:
  - url: 'https://abc-secret'
    max_alerts: 3
    http_config:
      http_headers: {X: {values: [v], secrets: [abc-secret]}}
      proxy_url: 'http://user:abc-secret@proxy:3128'
      oauth2: {client_id: i, client_secret: abc-secret, token_url: 'http://x'}
storage: {}
""",
        name="trackside.yml",
    )
    text = config.notifications.routing.original
    assert "abc-secret" not in text
    tree = yaml.safe_load(text)
    assert set(tree) == {"global", "route", "receivers"}
    assert tree["global"] == {
        "smtp_auth_password": "<secret>",
        "opsgenie_api_key": "<secret>",
        "pagerduty_url": "http://p",
    }
    assert tree["route"]["routes"] == [{"match": {"v": "1.10"}, "matchers": ['a="b"']}, {"matchers": ['a="b"']}]
    (receiver,) = tree["receivers"]
    assert "apprise_configs" not in receiver
    assert receiver["slack_configs"][0]["http_config"]["basic_auth"] == {"username": "u", "password": "<secret>"}
    assert receiver["pagerduty_configs"][0]["details"] == {"a": ["b", {"c": 1}]}
    assert receiver["webhook_configs"][0]["http_config"]["http_headers"]["X"] == {
        "values": ["v"],
        "secrets": ["<secret>"],
    }
    assert receiver["webhook_configs"][0]["http_config"]["proxy_url"] == "http://user:xxxxx@proxy:3128"
    # And it is one: whoever reads it strictly takes it.
    assert from_text(text, "again.yml")[1].routing.original == text


def test_the_text_is_shown_without_secrets(load):
    text = """
global:
  smtp_auth_password: |
    abc-secret one
    abc-secret two
  opsgenie_api_key: abc
  # and a comment with abc-secret three
route: {receiver: r}
receivers:
- name: r
  pagerduty_configs: [{routing_key: abc-secret three, description: abc}]
  webhook_configs: [{url: 'https://abc-secret/'}]
"""
    for name in ("alertmanager.yml", "trackside.yml"):
        config = load(text if name == "alertmanager.yml" else text + "storage: {}\n", name=name)
        shown = masked(config.text, config.secrets)
        assert "abc-secret" not in shown
        assert "opsgenie_api_key: <secret>" in shown
        assert "description: abc}" in shown


@pytest.mark.parametrize("file", ["own/config.yaml", "upstream/config.yaml", "upstream/config_newer.yaml"])
def test_the_original_of_each_conformance_file_is_read_again(file, request):
    folder = request.config.rootpath.parent / "shared" / "conformance" / "alerting"
    if not folder.is_dir():
        pytest.skip("the conformance suite is not beside the project")
    for case in yaml.safe_load((folder / file).read_text())["cases"]:
        for test in case["tests"]:
            if test["valid"] and "flags" not in test:
                text = from_text(test["config"], test["name"])[1].routing.original
                assert from_text(text, test["name"])[1].routing.original == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "x",
        "route: []",
        "receivers: {}",
        "route: {receiver: r, routes: x}\nreceivers: [{name: r}]",
        "\x00",
        "route: &a [*a]",
    ],
)
def test_odd_texts_are_refused_as_such(text):
    with pytest.raises(ConfigError):
        from_text(text, "a.yml")
