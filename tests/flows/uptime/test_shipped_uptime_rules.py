"""Each rule on checks and heartbeats that comes with the server: what makes it fire, and what is not yet enough."""

import pytest

from trackside.server.probes.shipped import rules_text
from trackside.server.yamlfile import parse_yaml

RULES = {rule["alert"]: rule for rule in parse_yaml(rules_text(), "uptime.rules.yml").tree["groups"][0]["rules"]}
START_S, DAY_S = 1_700_000_000, 86_400


def state(name):
    return f'trackside_probe_state{{check="api",state="{name}"}}'


def expiry(days):
    return f'probe_ssl_earliest_cert_expiry{{check="api"}} {START_S + days * DAY_S}'


def trouble(name):
    return f'trackside_heartbeat_trouble{{heartbeat="nightly",trouble="{name}"}}'


CASES = [
    # Alert, page of a target, seconds until it fires, and a page with which it never does.
    ("CheckDown", f"{state('down')} 1", 40, f"{state('down')} 1\ntrackside_probes_doubtful 1"),
    ("CheckFlapping", f"{state('flapping')} 1", 40, f"{state('flapping')} 0"),
    ("ProbesWithoutNetwork", "trackside_probes_doubtful 1", 80, "trackside_probes_doubtful 0"),
    ("CertificateEndsSoon", expiry(13), 620, expiry(15)),
    ("CertificateEnded", expiry(-1), 620, expiry(31)),
    ("HeartbeatMissed", f"{trouble('missed')} 1", 20, f"{trouble('missed')} 0"),
    ("HeartbeatFailed", f"{trouble('failed')} 1", 20, f"{trouble('failed')} 0"),
    ("HeartbeatTooLong", f"{trouble('too_long')} 1", 20, f"{trouble('too_long')} 0"),
]


@pytest.fixture
def world(make_world):
    world = make_world()
    path = world.folder / "trackside.yml"
    path.write_text(path.read_text() + "uptime: {heartbeats: [{name: yearly, period: 365d}]}\n")
    world.loop.run_until_complete(world.server.reload())
    return world


def expose(world, page):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"{page}\n".encode()})

    world.app = app


def firing(world):
    return [alert for alert in world.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"]


@pytest.mark.parametrize(("name", "page", "seconds", "calm"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_fires(world, name, page, seconds, calm):
    expose(world, page)
    world.advance(seconds)

    found = {alert["labels"]["alertname"]: alert for alert in firing(world)}
    alert = found.pop(name)
    assert not found
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert not {"state", "trouble", "__name__"} & alert["labels"].keys()
    for text in alert["annotations"].values():
        assert text
        assert "<no value>" not in text
        assert "<error" not in text


@pytest.mark.parametrize(("name", "page", "seconds", "calm"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_does_not_fire_for_less(world, name, page, seconds, calm):
    expose(world, calm)
    world.advance(min(seconds, 160))

    assert name not in {alert["labels"]["alertname"] for alert in firing(world)}


def test_a_certificate_that_has_ended_is_said_to_have_ended(world):
    expose(world, expiry(-1))
    world.advance(620)

    (alert,) = [one for one in firing(world) if one["labels"]["alertname"] == "CertificateEnded"]
    assert alert["annotations"]["summary"] == "The certificate of api has ended"


def test_every_rule_has_a_case_and_says_what_is_wrong_and_what_to_do():
    assert sorted(RULES) == sorted(case[0] for case in CASES)
    for rule in RULES.values():
        assert set(rule["annotations"]) == {"summary", "description"}


def test_what_nobody_can_change_here_is_not_found_fault_with(world):
    """Without a certificate to look at, its rules find nothing; that is no mistake."""
    page = world.page("/alerts/rules")

    assert "CertificateEndsSoon" in page
    assert "not mean what" not in page
