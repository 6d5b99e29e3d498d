"""The chat works, breaks in each of the four ways that its alerts are about, and the right people are told."""

import asyncio
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from free_ports import free_port
from redis import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from trackside.demo.run import Tellers, running_demo

FOLDER = Path(__file__).parents[2] / "examples" / "railgun"
ROWS = yaml.safe_load((FOLDER / "expectations.yml").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
SECONDS = 65

# Who has to hear of which alert, firing and resolved.
CHANNELS = {
    "HighErrorRate": {"slack", "pagerduty"},
    "SlowResponseTime": {"slack", "email"},
    "DatabaseConnectionPoolExhausted": {"slack", "pagerduty"},
    "RedisHighMemory": {"slack", "email"},
}


@pytest.fixture(scope="module")
def railgun():
    """The module that makes the system."""
    sys.path.insert(0, str(FOLDER.parent))
    yield importlib.import_module("railgun.system")
    sys.path.remove(str(FOLDER.parent))


@pytest.fixture
def real_servers(emptied):
    return emptied("railgun", 9)


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def installed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        assert not os.environ.get("CI"), f"{program} is missing: apt-get install it"
        pytest.skip(f"Debian's {program} is not installed")
    return found


@contextmanager
def running(*command, log: Path, **environment):
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **environment})
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def exporters(tmp_path):
    """Starts Debian's beside the demo's servers: where the job of each is to be scraped."""
    with ExitStack() as stack:

        def started(config):
            at = {"postgres": free_address(), "redis": free_address()}
            ((database,), (redis,)) = ((one["url"] for one in config["exporters"][name]) for name in at)
            postgres = ("prometheus-postgres-exporter", f"--web.listen-address={at['postgres']}")
            source = {"DATA_SOURCE_NAME": f"{database}?sslmode=disable"}
            stack.enter_context(running(*postgres, log=tmp_path / "postgres_exporter.log", **source))
            of_redis = ("prometheus-redis-exporter", f"-redis.addr={redis}", f"-web.listen-address={at['redis']}")
            stack.enter_context(running(*of_redis, log=tmp_path / "redis_exporter.log"))
            return at

        yield started


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.peer
def test_broken_in_each_of_the_four_ways_it_tells_the_right_people(
    no_servers, railgun, sentry, exporters, checked_run, tmp_path
):
    """One test and not many: the system runs for a minute, and tests of one module may be spread over processes."""
    for program in ("prometheus", "prometheus-postgres-exporter", "prometheus-redis-exporter"):
        installed(program)
    demo = tmp_path / "demo"
    run = checked_run("railgun", SECONDS, exporters)

    assert run.findings["problems"] == []
    assert_prometheus_saw_the_same(run.prometheus, railgun)
    assert_channels_were_told([json.loads(line) for line in (demo / "told.jsonl").read_text().splitlines()])
    assert_nothing_private_was_reported(sentry)
    assert_log_is_as_it_should_be((demo / "api.log").read_text().splitlines())
    assert_world_was_told(demo / "status")
    # With the series really stored, too, the rules mean what they say.
    checked = [sys.executable, "-m", "trackside.cli.main", "check", FOLDER / "rules.yml", "--data", demo / "data"]
    result = subprocess.run(checked, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


def assert_prometheus_saw_the_same(prometheus, railgun) -> None:
    # With the same servers: those of the demo itself.
    system = railgun.system({}, has_postgres=True, has_redis=True)
    queries = {one.name: one.query for one in system.expected if not re.search(r"\bprobe_", one.query)}
    assert len(queries) == len(system.expected) - 3, "all but what comes from probes, and that is three"
    states = {
        f"{alert.name} {state}": f'max_over_time(ALERTS{{alertname="{alert.name}",alertstate="{state}"}}[10m])'
        for alert in system.alerts
        for state in alert.states
        if state != "inactive"
    }
    assert len(states) == 8
    # An exporter is still up when the server that it asks is not.
    alive = ("up", "pg_up", "redis_up")
    assert prometheus.without_data(queries | states, alive) == []
    # That they are over, too: now nothing fires.
    over = {name: f'absent(ALERTS{{alertname="{name}"}})' for name in CHANNELS}
    assert prometheus.without_data(over, alive) == []
    assert prometheus.complaints() == []


def assert_channels_were_told(told: list[dict]) -> None:
    """Each alert was told as firing and as resolved, in this order, where it has to be and nowhere else."""
    heard: dict[tuple[str, str], list[str]] = defaultdict(list)
    summaries = {rule["annotations"]["summary"]: rule["alert"] for rule in RULES}
    for one in told:
        channel, content = one["channel"], one["content"]
        if channel == "slack":
            (attachment,) = content["attachments"]
            title = attachment["title"]
            alert, status = summaries[title.removeprefix("Over: ")], "resolved" if "Over: " in title else "firing"
            assert content["channel"] == "#railgun-alerts"
            assert attachment["actions"][0]["url"] == runbook_of(alert)
            assert re.search(r"\d\d:\d\d:\d\d UTC", attachment["text"])
        elif channel == "pagerduty":
            alert = summaries[content["payload"]["summary"]]
            status = {"trigger": "firing", "resolve": "resolved"}[content["event_action"]]
            assert content["payload"]["severity"] == "critical"
            assert content["links"] == [{"href": runbook_of(alert), "text": "Runbook"}]
        else:
            status, alert = re.match(r"\[(FIRING|RESOLVED)(?::1)?\] (\w+)", content["subject"]).groups()
            status = status.lower()
            assert (content["from"], content["to"]) == ("alerts@railgun.example", ["team@railgun.example"])
            assert alert in content["text"]
        heard[alert, channel].append(status)
    assert dict(heard) == {
        (alert, channel): ["firing", "resolved"] for alert, channels in CHANNELS.items() for channel in channels
    }
    # An incident is closed by the key by which it was opened.
    keys = Counter(one["content"]["dedup_key"] for one in told if one["channel"] == "pagerduty")
    assert sorted(keys.values()) == [2, 2]


def runbook_of(alert: str) -> str:
    return next(rule["annotations"]["runbook_url"] for rule in RULES if rule["alert"] == alert)


def assert_nothing_private_was_reported(sentry) -> None:
    errors = [one for one in sentry.of("event") if "exception" in one]
    events = [one for one in errors if one["exception"]["values"][-1]["type"] == "RuntimeError"]
    assert events
    assert {(one["environment"], one["release"], one["transaction"]) for one in events} == {
        ("production", "1.0.0", "/api/v1/search")
    }
    # Joined to the log and to whom it happened, by what is no secret.
    assert all(one["tags"]["requestId"] and one["user"]["id"] for one in events)
    everything = "\n".join(sentry.envelopes)
    assert not re.search("rg_[0-9a-f]{8}", everything), "a token of a session"
    assert "correct horse battery" not in everything


def assert_log_is_as_it_should_be(lines: list[str]) -> None:
    entries = [json.loads(line) for line in lines]
    assert all({"timestamp", "level", "context", "message"} <= entry.keys() for entry in entries)
    logins = [entry for entry in entries if entry["message"] == "User logged in"]
    assert logins and all(entry["context"] == "AuthService" and entry["level"] == "info" for entry in logins)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["timestamp"]) for entry in logins)
    assert all(entry["userId"] and entry["requestId"] for entry in logins)
    # What the team's three queries of the log look for.
    assert any(entry["level"] == "error" for entry in entries)
    assert any(entry["context"] == "AuthService" and "Unauthorized" in entry["message"] for entry in entries)
    assert any(entry.get("latency", 0) > 1000 and entry["path"].startswith("/api/v1/dms/") for entry in entries)
    assert "the release is out" not in "\n".join(lines), "what people write is in no log"


def assert_world_was_told(page: Path) -> None:
    """That some requests failed, and nothing that is nobody's business."""
    status = json.loads((page / "status.json").read_text())
    assert [component["name"] for component in status["components"]] == ["API", "Messages", "Web app"]
    assert [(one["title"], one["components"]) for one in status["incidents"]] == [("Some requests fail", ["API"])]
    everything = "".join(path.read_text() for path in page.rglob("*") if path.suffix in (".html", ".json", ".atom"))
    assert not re.search("railgun_|HighErrorRate|RedisHighMemory|postgres", everything)


class NoTraffic:
    sent: Counter = Counter()

    async def run(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def started(system, folder):
    """Without traffic and trouble: only what the test asks for happens."""
    services = tuple(
        replace(service, environment={**service.environment, "TROUBLE_CLOCK": ""}) for service in system.services
    )
    quiet = replace(system, services=services, traffic=lambda addresses: NoTraffic())
    async with (
        running_demo(quiet, folder, Tellers(print, print)) as demo,
        httpx.AsyncClient(base_url=f"http://{demo.addresses['api']}/api/v1", timeout=60) as api,
    ):
        yield demo, api


async def logged_in(api: httpx.AsyncClient, name: str) -> dict[str, str]:
    who = {"name": name, "password": "correct horse battery"}
    assert (await api.post("/auth/register", json=who)).status_code == 201
    return {"Authorization": f"Bearer {(await api.post('/auth/login', json=who)).json()['token']}"}


async def say(client, **message) -> None:
    await client.send(json.dumps(message))


async def hear(client) -> dict:
    return json.loads(await asyncio.wait_for(client.recv(), 60))


async def conversation(demo, api) -> dict[str, object]:
    """Everything that clients can do; what was seen that depends on the servers."""
    assert (await api.get("/health")).json()["status"] == "ok"
    assert (await api.get("/health/live")).status_code == 200
    ready = (await api.get("/health/ready")).json()
    anna, ben = await logged_in(api, "anna"), await logged_in(api, "ben")
    url = f"ws://{demo.addresses['api']}/ws"

    # Who is not let in.
    assert (await api.post("/auth/register", json={"name": "anna", "password": "hunter2000"})).status_code == 409
    assert (await api.post("/auth/login", json={"name": "anna", "password": "hunter2000"})).status_code == 401
    assert (await api.post("/auth/login", json={"name": "nobody", "password": "hunter2000"})).status_code == 401
    assert (await api.get("/channels")).status_code == 401
    assert (await api.get("/channels", headers={"Authorization": "Bearer rg_0"})).status_code == 401
    for said in ('{"type": "hello", "token": "rg_0"}', "hello", b"\x00"):
        async with connect(url) as client:
            await client.send(said)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd.code == 1008

    async with connect(url) as one, connect(url) as other:
        for client, headers, name in ((one, anna, "anna"), (other, ben, "ben")):
            await say(client, type="hello", token=headers["Authorization"].removeprefix("Bearer "))
            assert await hear(client) == {"type": "welcome", "name": name}
        await say(one, type="channel", channel_id="general", text="hello everybody")
        for client in (one, other):
            heard = await hear(client)
            assert (heard["type"], heard["channel_id"], heard["text"]) == ("channel", "general", "hello everybody")
        await say(one, type="dm", to="ben", text="just us")
        for client in (one, other):
            heard = await hear(client)
            assert (heard["type"], heard["from"], heard["to"], heard["text"]) == ("dm", "anna", "ben", "just us")
        for odd in ('{"type": "dm"}', "[" * 2_000, '{"type": "shout", "text": "x"}', b"\xff\xfe"):
            await one.send(odd)
            assert (await hear(one))["type"] == "error"

        assert [each["text"] for each in (await api.get("/dms/anna", headers=ben)).json()] == ["just us"]
        found = (await api.get("/search?q=everybody", headers=ben)).json()
        assert {(each["channel_id"], each["text"]) for each in found} == {("general", "hello everybody")}
        assert (await api.get("/search?q=just us", headers=ben)).json() == []
        assert (await api.get("/channels/general/messages", headers=ben)).json() == found

        await say(other, type="voice", channel_id="lobby", joined=True)
        await say(other, type="voice", channel_id="lobby", joined=True)
        assert await in_voice(api, anna, ["ben"])
        samples = await shown(api)
    assert await in_voice(api, anna, [])
    return {"ready": ready, "metrics": samples}


async def in_voice(api: httpx.AsyncClient, headers, expected: list[str]) -> bool:
    for _ in range(1_000):
        if (await api.get("/voice/lobby", headers=headers)).json() == expected:
            return True
        await asyncio.sleep(0.05)
    return False


async def shown(api: httpx.AsyncClient) -> str:
    """The metrics, once a connection that was refused is no longer one."""
    for _ in range(1_000):
        samples = (await api.get("/metrics")).text
        if re.search(r'^railgun_websocket_connections\{path="/ws"\} 2(\.0)?$', samples, re.M):
            break
        await asyncio.sleep(0.05)
    return samples


SAMPLES = (
    'railgun_messages_processed_total{type="dm"} 1.0',
    'railgun_messages_processed_total{type="channel"} 1.0',
    'railgun_voice_participants{channel_id="lobby"} 1.0',
    'railgun_websocket_connections{path="/ws"} 2.0',
    'railgun_http_requests_total{method="GET",path="/api/v1/dms/{name}",status="200"} 1.0',
)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("servers", ["no_servers", "real_servers"])
def test_people_talk_in_channels_to_each_other_and_aloud(servers, request, railgun, tmp_path):
    given = request.getfixturevalue(servers)

    async def run():
        system = railgun.system(given, has_postgres=False, has_redis=False)
        async with started(system, tmp_path) as (demo, api):
            return await conversation(demo, api)

    seen = asyncio.run(run())
    assert seen["ready"] == {"status": "ready", "db": True, "redis": True}
    for sample in SAMPLES:
        assert re.sub(r"[\d.]+$", "", sample) in seen["metrics"], sample
    values = dict(line.rsplit(" ", 1) for line in seen["metrics"].splitlines() if not line.startswith("#"))
    for sample in SAMPLES:
        series, value = sample.rsplit(" ", 1)
        assert float(values[series]) == float(value), sample
    if given:
        with psycopg.connect(given["DATABASE_URL"]) as connection:
            stored = connection.execute("select sender, recipient, channel_id, text from messages order by id")
            assert stored.fetchall() == [
                ("anna", None, "general", "hello everybody"),
                ("anna", "ben", None, "just us"),
            ]
            ((hashed,),) = connection.execute("select password_hash from members where name = 'anna'").fetchall()
            assert "horse" not in hashed
        with closing(Redis.from_url(given["REDIS_URL"], decode_responses=True)) as redis:
            sessions = list(redis.scan_iter("session:*"))
            assert sorted(map(redis.get, sessions)) == ["anna", "ben"]
            assert all(redis.ttl(session) > 0 for session in sessions)


def test_servers_that_are_given_are_used_and_never_broken(railgun):
    given = {"DATABASE_URL": "postgresql://db/app", "REDIS_URL": "redis://cache:6379/3"}
    system = railgun.system(given, has_postgres=True, has_redis=True)
    exporters = yaml.safe_load(system.configuration)["exporters"]
    assert [one["url"] for kind in ("postgres", "redis") for one in exporters[kind]] == list(given.values())
    assert [service.name for service in system.services] == ["stand_ins", "web", "api"]
    assert [alert.name for alert in system.alerts] == ["HighErrorRate", "SlowResponseTime"]
    assert not any("redis_memory_max_bytes" in one.query for one in system.expected), "it may well have no limit"
    assert any("pg_stat_activity_count" in one.query for one in system.expected)


@pytest.mark.parametrize(
    ("has_postgres", "has_redis", "exporters"),
    [
        pytest.param(False, False, None, id="neither"),
        pytest.param(True, False, {"postgres"}, id="no Redis"),
        pytest.param(False, True, {"redis"}, id="no Postgres"),
        pytest.param(True, True, {"postgres", "redis"}, id="both"),
    ],
)
def test_what_is_not_there_is_neither_asked_nor_expected(has_postgres, has_redis, exporters, railgun):
    system = railgun.system({}, has_postgres=has_postgres, has_redis=has_redis)
    configuration = yaml.safe_load(system.configuration)
    assert set(configuration.get("exporters") or ()) == (exporters or set())
    asked = " ".join(one.query for one in system.expected)
    assert bool(re.search(r"\bpg_", asked)) is has_postgres
    assert bool(re.search(r"\bredis_", asked)) is has_redis
    assert ("trouble" in [service.name for service in system.services]) is (has_postgres or has_redis)


def test_the_uptime_table_is_that_of_the_document(railgun):
    checks = yaml.safe_load((FOLDER / "trackside.yml").read_text())["uptime"]["checks"]
    table = {(one["url"], one["interval"], one["timeout"]) for one in checks}
    assert table >= {
        ("http://{api}/api/v1/health", "1m", "10s"),
        ("ws://{api}/ws", "5m", "30s"),
        ("http://{web}/", "1m", "10s"),
    }
    wanted = {one["name"]: one["json"] for one in checks if "json" in one}
    assert wanted == {"API": {"status": "ok"}, "Readiness": {"status": "ready", "db": True, "redis": True}}


def test_the_rules_are_the_expected_ones_and_lead_to_the_runbook():
    assert {rule["alert"]: (rule["for"], rule["labels"]["severity"]) for rule in RULES} == {
        "HighErrorRate": ("5m", "critical"),
        "SlowResponseTime": ("10m", "warning"),
        "DatabaseConnectionPoolExhausted": ("5m", "critical"),
        "RedisHighMemory": ("10m", "warning"),
    }
    for rule, row in zip(RULES, ROWS["alerts"], strict=True):
        assert (rule["alert"], rule["for"]) == (row["alert"], row["for"])
        assert " ".join(rule["expr"].split()).startswith(" ".join(row["compares"].split()))

    chapters = re.findall("^## (.*)$", (FOLDER / "RUNBOOK.md").read_text(), re.M)
    anchors = [chapter.lower().replace(" ", "-") for chapter in chapters]
    # That of WebSockets is for the check from outside, and for whoever hears of it from a user.
    assert anchors[:3] == ["high-error-rate", "slow-response-time", "websocket-connection-issues"]
    linked = {rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULES}
    assert linked == set(anchors) - {"websocket-connection-issues"}


def test_alertmanager_takes_what_it_is_about_as_it_is(railgun, tmp_path):
    config = yaml.safe_load(railgun.system({}, has_postgres=False, has_redis=False).configuration)
    kept = {key: config[key] for key in ("route", "receivers")}
    kept["global"] = {
        key: config["global"][key] for key in config["global"] if key.startswith(("slack", "page", "smtp"))
    }
    # Filled in when the demo starts.
    text = yaml.safe_dump(kept).replace("{stand_ins}", "127.0.0.1:1").replace("{receiver}", "127.0.0.1:2")
    (tmp_path / "alertmanager.yml").write_text(text)
    amtool = installed("amtool")
    told = subprocess.run([amtool, "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    for rule in RULES:
        labels = [f"{name}={value}" for name, value in rule["labels"].items()]
        route = [amtool, "config", "routes", "test", f"--config.file={tmp_path / 'alertmanager.yml'}", *labels]
        receivers = subprocess.run(route, capture_output=True, text=True).stdout.strip()
        assert receivers == {"critical": "slack,on-call", "warning": "slack,non-urgent"}[rule["labels"]["severity"]]


@pytest.mark.parametrize(
    "command",
    [["promtool", "test", "rules"], [sys.executable, "-m", "trackside.cli.main", "test"]],
    ids=["theirs", "ours"],
)
def test_each_alert_fires_when_it_should_says_what_it_should_and_not_otherwise(command):
    program = command[0] if command[0] == sys.executable else installed(command[0])
    told = subprocess.run([program, *command[1:], "rules_test.yml"], cwd=FOLDER, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    tested = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES}


def test_the_dashboards_ask_exactly_what_is_expected_to_have_an_answer():
    panels = [panel for dashboard in DASHBOARDS.values() for panel in dashboard["panels"]]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert sorted(asked) == sorted(row["query"] for row in ROWS["queries"])


def test_the_dashboards_are_the_four_of_the_document_and_have_its_panels():
    titles = {
        name: {panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"}
        for name, dashboard in DASHBOARDS.items()
    }
    assert titles.keys() == {"railgun-api", "railgun-database", "railgun-redis", "railgun-realtime"}
    assert titles["railgun-api"] >= {"Request Rate", "Error rate", "Response time", "Active connections"}
    assert titles["railgun-database"] >= {"Query latency, p95", "Connection pool usage of the API"}
    assert any(title.startswith("Slow queries") for title in titles["railgun-database"])
    assert titles["railgun-redis"] >= {"Memory usage", "Hit ratio of Redis", "Connected clients"}
    assert titles["railgun-realtime"] >= {"Active voice channels", "WebSocket connections", "Message throughput"}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())
def test_the_panels_of_a_dashboard_do_not_overlap(dashboard):
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
