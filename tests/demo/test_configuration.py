"""The demo's files hold the addresses of the run, and rules that wait for seconds."""

import pytest

from trackside.demo.configuration import sixtyfold, write_configuration
from trackside.demo.system import System, filled
from trackside.demo.systems import system_named
from trackside.server.config import load_config


def test_only_known_names_in_braces_are_filled_in():
    text = 'sum(up{job="a"}) {shop} {{ $labels.shop }} {other}'
    assert filled(text, {"shop": "127.0.0.1:1"}) == 'sum(up{job="a"}) 127.0.0.1:1 {{ $labels.shop }} {other}'


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param("  for: 5m", "  for: 5s", id="minutes"),
        pytest.param("  for: 1h", "  for: 1m", id="hours"),
        pytest.param("  for: 30s", "  for: 30s", id="seconds stay"),
        pytest.param("  expr: rate(a[5m])", "  expr: rate(a[5m])", id="windows stay"),
        pytest.param("  summary: down for: 5m", "  summary: down for: 5m", id="texts stay"),
        pytest.param("  for: 5m\n  labels: {}", "  for: 5s\n  labels: {}", id="more lines"),
    ],
)
def test_waiting_times_are_a_sixtieth(rule, expected):
    assert sixtyfold(rule) == expected


@pytest.mark.parametrize("name", ["shop", "ecommerce_api"])
def test_the_server_accepts_the_configuration_of_a_system(tmp_path, name):
    system: System = system_named(name)
    names = ["server", "receiver", *(service.name for service in system.services)]
    addresses = {service: f"127.0.0.1:{9_000 + number}" for number, service in enumerate(names)}

    config = load_config(write_configuration(tmp_path, system, addresses))

    alerts = {rule.name for group in config.rule_groups for rule in group.rules}
    assert {alert.name for alert in system.alerts} <= alerts
    assert "{" not in (tmp_path / "trackside.yml").read_text().replace("{}", "").split("#", 1)[0]
