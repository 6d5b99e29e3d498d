"""From a service that stops answering, or a job that is not heard, to the alert."""

import json

import pytest

from trackside.server.config import load_config

START_MS = 1_764_028_800_000
KEY = "nightly-0123456789abcdefghij"


def test_probes_are_series_that_queries_and_rules_need_nothing_new_for(outpost):
    outpost.advance(75)

    assert outpost.value('probe_success{check="api", group="shop", job="uptime"}') == 1
    assert outpost.value('probe_success{instance="http://app.example/"}') == 1
    assert outpost.value('count(probe_http_duration_seconds{check="api"})') == 5
    assert outpost.value('trackside_probe_state{check="api", state="up"}') == 1
    assert outpost.value('up{job="uptime", check="docs"}') == 1
    assert outpost.firing() == set()


def test_down_after_its_retries_told_with_its_own_severity_and_over_again(outpost):
    outpost.advance(75)
    outpost.broken = {"app.example", "api.example"}
    outpost.advance(59)
    assert outpost.firing() == set(), "one failure is none"
    outpost.advance(60)

    assert outpost.firing() == {("CheckDown", "api", "critical"), ("CheckDown", "app", "warning")}
    outpost.broken = set()
    outpost.advance(90)
    assert outpost.firing() == set()


def test_a_restart_in_the_middle_of_a_down_tells_it_no_second_time(outpost):
    outpost.advance(75)
    outpost.broken = {"api.example"}
    outpost.advance(130)
    since = outpost.server.watching.uptime.views()[0].state.since_ms

    outpost.restart()
    outpost.advance(1)

    assert outpost.server.watching.uptime.views()[0].state.since_ms == since
    assert outpost.server.watching.uptime.views()[0].state.condition.value == "down"


def test_when_this_machine_has_lost_its_network_that_is_the_only_alert(outpost):
    outpost.advance(75)
    outpost.lost = True
    outpost.advance(300)

    assert outpost.firing() == {("ProbesWithoutNetwork", "", "critical")}
    outpost.lost = False
    outpost.advance(120)
    assert outpost.firing() == set()


def test_what_was_down_before_the_network_was_lost_stays_told(outpost):
    outpost.advance(75)
    outpost.broken = {"api.example"}
    outpost.advance(130)
    outpost.lost = True
    outpost.advance(300)

    assert outpost.firing() == {("CheckDown", "api", "critical"), ("ProbesWithoutNetwork", "", "critical")}


def test_in_hours_of_maintenance_nobody_is_woken(outpost):
    outpost.clock.time_ms = START_MS + 3_600_000 - 60_000
    outpost.advance(75)
    outpost.broken = {"docs.example"}
    outpost.advance(300)

    assert not [one for one in outpost.firing() if one[0].startswith("Check")]
    assert outpost.value('trackside_probe_state{check="docs", state="maintenance"}') == 1
    assert outpost.value('probe_success{check="docs"}') == 0


HEARD = [
    pytest.param([], 960, {("HeartbeatMissed", "nightly", "critical")}, id="never heard"),
    pytest.param([""], 60, set(), id="heard"),
    pytest.param(["/start"], 120, set(), id="running"),
    pytest.param(["/start"], 300, {("HeartbeatTooLong", "nightly", "critical")}, id="running for too long"),
    pytest.param(["/start", "/1"], 30, {("HeartbeatFailed", "nightly", "critical")}, id="an exit status"),
    pytest.param(["/fail"], 30, {("HeartbeatFailed", "nightly", "critical")}, id="failed"),
    pytest.param(["/fail", "/0"], 30, set(), id="failed, and succeeded since"),
]


@pytest.mark.parametrize(("pings", "seconds", "firing"), HEARD)
def test_a_job_is_heard_without_a_key_of_the_server_and_from_anywhere(pings, seconds, firing, outpost):
    for ping in pings:
        answer = outpost.request("POST", f"/ping/{KEY}{ping}", client="203.0.113.9", content=b"it said this")
        assert (answer.status_code, answer.text) == (200, "OK\n")
    outpost.advance(seconds)

    assert {one for one in outpost.firing() if one[1] == "nightly"} == firing


def test_only_what_is_meant_to_be_is_open(outpost):
    assert outpost.request("GET", "/ping/wrong", client="203.0.113.9").status_code == 404
    assert outpost.request("GET", "/targets", client="203.0.113.9").status_code == 403
    assert outpost.request("POST", "/-/reload").status_code == 401


def test_keys_and_tokens_are_shown_nowhere(outpost):
    derived = outpost.server.watching.heartbeats.views()[1].key
    outpost.request("GET", f"/ping/{KEY}")
    outpost.advance(75)

    shown = [
        outpost.get(path).text
        for path in ("/api/v1/status/config", "/api/v1/targets", "/metrics", "/targets", "/alerts", "/api/v1/rules")
    ]
    shown.append(json.dumps(outpost.get("/api/v1/series", **{"match[]": '{__name__=~".+"}'}).json()))

    assert "<secret>" in shown[0]
    assert not [text for text in shown if KEY in text or derived in text or "token-of-docs" in text]


def test_a_reload_adds_and_takes_away_checks_and_their_series_end(outpost, usual):
    config, _ = usual
    outpost.advance(75)
    changed = config.replace("name: api, url", "name: gate, url").replace("depends_on: api", "depends_on: gate")
    (outpost.folder / "trackside.yml").write_text(changed)
    outpost.run(outpost.server.reload())
    outpost.advance(75)

    assert outpost.value('probe_success{check="gate"}') == 1
    assert outpost.value('probe_success{check="api"}') is None
    assert outpost.value('probe_success{check="app"}') == 1


def test_without_alerts_there_are_no_rules_of_ours(tmp_path, usual):
    config, _ = usual
    file = tmp_path / "trackside.yml"
    file.write_text(config.replace("uptime:", "uptime:\n  alerts: false", 1))

    assert load_config(file).rule_groups == ()
    file.write_text(config)
    assert [group.name for group in load_config(file).rule_groups] == ["trackside uptime"]


def test_who_depends_on_another_is_not_told_of(outpost):
    outpost.advance(75)
    outpost.broken = {"api.example", "app.example"}
    outpost.advance(180)

    alerts = outpost.get("/api/v2/alerts").json()
    told = {alert["labels"]["check"]: alert["status"]["state"] for alert in alerts if "check" in alert["labels"]}
    assert told == {"api": "active", "app": "suppressed"}


def test_a_job_that_is_missed_in_hours_of_maintenance_is_told_of_after_them(outposts, usual):
    config, _ = usual
    window = "{name: window, checks: [nightly], start: 2025-11-25T00:10:00Z, end: 2025-11-25T00:20:00Z}"
    made = outposts(config.replace("  maintenance:\n", f"  maintenance:\n  - {window}\n"))
    made.advance(16 * 60)
    assert made.value('trackside_heartbeat_maintenance{heartbeat="nightly"}') == 1
    assert not [one for one in made.firing() if one[1] == "nightly"]
    made.advance(5 * 60)

    assert ("HeartbeatMissed", "nightly", "critical") in made.firing()


def test_the_address_of_a_job_is_shown_to_those_who_may_act_and_nobody_else(outpost, usual):
    from trackside.server.access.roles import Role

    _, key = usual
    viewer = {"Authorization": f"Bearer {outpost.server.keys.create('viewer', Role.VIEWER)}"}

    assert f"http://trackside/ping/{key}/start" in outpost.get("/uptime/heartbeats/nightly").text
    assert key not in outpost.request("GET", "/uptime/heartbeats/nightly", headers=viewer).text
