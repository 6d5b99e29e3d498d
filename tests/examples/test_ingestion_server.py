"""The ingestion server serves as it should, and shows what its team asked for, on our engine and on Prometheus."""

import importlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

FOLDER = Path(__file__).parents[2] / "examples" / "ingestion_server"
ROWS = yaml.safe_load((FOLDER / "expectations.yml").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboards" / "ingestion.json").read_text())
SECONDS = 75
"""The last alert resolves after about 62."""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_metric_query_and_alert_has_data_here_and_in_prometheus(checked_run):
    """One test and not many: the system runs for a minute, and tests of one module may be spread over processes."""
    run = checked_run("ingestion_server", SECONDS)

    assert run.findings["problems"] == []
    assert run.without_data() == []
    notified = {
        summary: notification["status"]
        for notification in run.findings["notifications"]
        for summary in notification["summaries"]
    }
    assert notified == {
        "High error rate detected": "firing",
        "Buffer nearly full for emma": "resolved",
        "No edge relays connected": "resolved",
    }
    if run.prometheus is None:
        pytest.skip("Debian's package prometheus is not installed: only our own engine was asked")
    assert run.prometheus.without_data(run.queries | run.alerts(ROWS["alerts"])) == []
    assert run.prometheus.complaints() == []


def test_the_rules_are_the_expected_ones_and_lead_to_the_runbook():
    rules = {rule["alert"]: (" ".join(rule["expr"].split()), rule["for"]) for rule in RULES}
    assert rules == {row["alert"]: (row["expr"], row["for"]) for row in ROWS["alerts"]}

    chapters = [line[3:] for line in (FOLDER / "RUNBOOK.md").read_text().splitlines() if line.startswith("## ")]
    anchors = [rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULES]
    assert anchors == [chapter.lower().replace(" ", "-") for chapter in chapters]
    assert [rule["labels"]["severity"] for rule in RULES] == ["critical", "warning", "critical"]


def test_the_dashboard_asks_exactly_what_is_expected_to_have_an_answer():
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    assert sorted(asked) == sorted(row["query"] for row in ROWS["queries"])


def test_the_panels_of_the_dashboard_do_not_overlap():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A fresh one: its modules are imported anew, so that it counts from 0."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/ingestion.db")
    monkeypatch.setenv("BUFFER_CAPACITY", "40")
    monkeypatch.setenv("WRITE_EVERY_SECONDS", "0.01")
    monkeypatch.setenv("FORGET_AFTER_SECONDS", "0.5")
    monkeypatch.syspath_prepend(FOLDER.parent)
    for name in [name for name in sys.modules if name.partition(".")[0] == "ingestion_server"]:
        monkeypatch.delitem(sys.modules, name)
    api = importlib.import_module("ingestion_server.api")
    with TestClient(api.app) as client:
        yield client
    for name in [name for name in sys.modules if name.partition(".")[0] == "ingestion_server"]:
        del sys.modules[name]


def start(user):
    return {"type": "session_start", "user_id": user}


def samples(user, count=1):
    return {"type": "samples", "user_id": user, "samples": [{"at": n, "value": n} for n in range(count)]}


def end(user):
    return {"type": "session_end", "user_id": user}


def metrics(client, path="/metrics"):
    """Series as it stands in the text → its value."""
    lines = [line for line in client.get(path).text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def eventually(probe, within_s=60):
    """What `probe` answers, once that is anything."""
    deadline_s = time.monotonic() + within_s
    while not (answer := probe()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s"
        time.sleep(0.01)
    return answer


@contextmanager
def consuming(client, user):
    """Until the server has noticed that the consumer went: the test client would cancel it right away."""
    with client.websocket_connect(f"/consumers/{user}") as consumer:
        yield consumer
        consumer.close()
        eventually(lambda: metrics(client)["consumer_connections"] == 0)


def send(relay, message):
    if isinstance(message, bytes):
        relay.send_bytes(message)
    else:
        relay.send_text(message if isinstance(message, str) else json.dumps(message))


def refusal(relay, message):
    """What the relay is told of a message; a marker after it shows when it is told nothing."""
    relay.send_json(message)
    relay.send_text("marker")
    answer = relay.receive_json()["refused"]
    if answer == "NotJsonError":
        return None
    relay.receive_json()
    return answer


def test_before_anybody_connects_everything_is_there_and_zero(server):
    shown = metrics(server, "/metrics-custom")

    assert shown["edge_relay_connections"] == shown["consumer_connections"] == shown["active_sessions"] == 0
    assert shown['pending_writes{table="samples"}'] == shown['pending_writes{table="sessions"}'] == 0
    failures = [value for series, value in shown.items() if series.startswith("messages_failed_total{")]
    assert failures == [0] * 10


def test_the_custom_page_has_only_what_is_the_servers_own(server):
    server.get("/users/anna/sessions")
    everything, own = metrics(server), metrics(server, "/metrics-custom")

    assert any(series.startswith("http_requests_total{") for series in everything)
    assert not any(series.startswith(("http_", "process_")) for series in own)
    assert own.keys() < everything.keys()


@pytest.mark.parametrize(
    ("message", "message_type", "error_type"),
    [
        pytest.param('{"type": "samples", "us', "unknown", "NotJsonError", id="cut off"),
        pytest.param("[1, 2]", "unknown", "NotJsonError", id="no object"),
        pytest.param(b"\x00\xff", "unknown", "NotJsonError", id="bytes"),
        pytest.param("[" * 10_000, "unknown", "NotJsonError", id="nested without end"),
        pytest.param("{}", "unknown", "NotJsonError", id="nothing in it"),
        pytest.param({"type": "reboot"}, "unknown", "UnknownTypeError", id="a type of its own"),
        pytest.param({"type": ["samples"]}, "unknown", "UnknownTypeError", id="a type that is no text"),
        pytest.param({"type": "session_start"}, "session_start", "InvalidFieldsError", id="no user"),
        pytest.param(start("A b"), "session_start", "InvalidFieldsError", id="a user that cannot be"),
        pytest.param(start({}), "session_start", "InvalidFieldsError", id="a user that is no text"),
        pytest.param(start("anna"), "session_start", "SessionExistsError", id="a session within a session"),
        pytest.param(samples("anna", 0), "samples", "InvalidFieldsError", id="no samples"),
        pytest.param(samples("anna", 33), "samples", "InvalidFieldsError", id="more samples than a message holds"),
        pytest.param(
            '{"type": "samples", "user_id": "anna", "samples": [{"at": 0, "value": NaN}]}',
            *("samples", "InvalidFieldsError"),
            id="a sample that is no number",
        ),
        pytest.param(samples("ben"), "samples", "NoSessionError", id="samples without a session"),
        pytest.param(end("ben"), "session_end", "NoSessionError", id="the end of no session"),
    ],
)
def test_a_message_that_is_wrong_is_refused_and_counted(server, message, message_type, error_type):
    with server.websocket_connect("/relays/north") as relay:
        relay.send_json(start("anna"))
        send(relay, message)
        answer = relay.receive_json()

        assert answer["refused"] == error_type
        assert answer["reason"]
        shown = metrics(server)
    # Of the first relay's message all went well.
    assert shown['messages_processed_total{message_type="session_start"}'] == 1
    failed = f'messages_failed_total{{error_type="{error_type}",message_type="{message_type}"}}'
    assert {series for series, value in shown.items() if series.startswith("messages_failed") and value} == {failed}
    assert sum(value for series, value in shown.items() if series.startswith("messages_received_total{")) == 2


def test_senders_cannot_make_series_up(server):
    with server.websocket_connect("/relays/north") as relay:
        before = metrics(server).keys()
        for number in range(20):
            for message in (samples(f"user-{number}"), {"type": f"type-{number}"}, start(f"User {number}")):
                relay.send_json(message)
                relay.receive_json()
        new = metrics(server).keys() - before

    assert {series for series in new if series.startswith("messages_received")} == {
        'messages_received_total{message_type="samples",user_id="(unknown)"}',
        'messages_received_total{message_type="session_start",user_id="(unknown)"}',
        'messages_received_total{message_type="unknown",user_id="(unknown)"}',
    }
    assert not any("user-" in series or "type-" in series for series in new)


def test_a_full_buffer_takes_no_message_until_the_consumer_has_read(server):
    with server.websocket_connect("/relays/north") as relay:
        relay.send_json(start("anna"))
        assert refusal(relay, samples("anna", 30)) is None
        assert refusal(relay, samples("anna", 11)) == "BufferFullError"
        assert refusal(relay, samples("anna", 10)) is None
        assert (
            metrics(server)['buffer_size{user_id="anna"}'] == metrics(server)['buffer_capacity{user_id="anna"}'] == 40
        )

        with consuming(server, "anna") as consumer:
            assert len(consumer.receive_json()["samples"]) == 40
            assert metrics(server)['buffer_size{user_id="anna"}'] == 40
            consumer.send_text("read")
            eventually(lambda: metrics(server)['buffer_size{user_id="anna"}'] == 0)
        assert refusal(relay, samples("anna", 11)) is None


def test_what_a_consumer_did_not_acknowledge_waits_for_the_next(server):
    with server.websocket_connect("/relays/north") as relay:
        relay.send_json(start("anna"))
        relay.send_json(samples("anna", 3))
        for _ in range(2):
            with consuming(server, "anna") as consumer:
                assert [sample["value"] for sample in consumer.receive_json()["samples"]] == [0, 1, 2]


def test_users_who_are_gone_are_forgotten(server):
    def shows(user):
        return any(f'user_id="{user}"' in series for series in metrics(server))

    with server.websocket_connect("/relays/north") as relay:
        for message in (start("anna"), start("ben"), samples("ben")):
            relay.send_json(message)
        eventually(lambda: shows("ben"))
        relay.send_json(end("ben"))
        eventually(lambda: not shows("ben"))
        assert shows("anna")
        # Who comes back is shown again.
        relay.send_json(start("ben"))
        eventually(lambda: shows("ben"))


def test_a_user_has_one_consumer(server):
    with consuming(server, "anna"):
        with pytest.raises(WebSocketDisconnect), server.websocket_connect("/consumers/anna") as second:
            second.receive_json()
        assert metrics(server)["consumer_connections"] == 1


def test_a_session_and_its_samples_are_in_the_database(server):
    with server.websocket_connect("/relays/north") as relay:
        for message in (start("anna"), samples("anna", 3), samples("anna", 2), end("anna")):
            relay.send_json(message)
        (session,) = eventually(lambda: server.get("/users/anna/sessions").json())
        # A session may be written before the last of its samples, and is counted after it was written.
        eventually(lambda: len(server.get(f"/sessions/{session['id']}/samples").json()) == 5)
        eventually(lambda: metrics(server).get('db_writes_total{table="sessions"}'))
        eventually(lambda: metrics(server).get('db_batch_size_sum{table="samples"}') == 5)

    assert (session["relay"], session["samples"]) == ("north", 5)
    shown = metrics(server)
    assert shown["sessions_created_total"] == shown["sessions_ended_total"] == 1
    assert shown['db_writes_total{table="sessions"}'] == shown['db_batch_size_count{table="sessions"}'] == 1
    assert shown['db_batch_size_sum{table="samples"}'] == 5
    assert shown['db_write_duration_seconds_count{table="samples"}'] >= 1


def test_the_sessions_of_a_relay_end_with_its_connection(server):
    with server.websocket_connect("/relays/north") as north, server.websocket_connect("/relays/north") as again:
        north.send_json(start("anna"))
        again.send_json(start("ben"))
        # Another connection of the same relay is another relay to the server.
        assert refusal(again, samples("anna")) == "NoSessionError"
        assert refusal(north, samples("anna")) is None
        assert metrics(server)["active_sessions"] == metrics(server)["edge_relay_connections"] == 2
        north.close()
        eventually(lambda: metrics(server)["active_sessions"] == 1)
        assert refusal(again, samples("ben")) is None
    eventually(lambda: metrics(server)["edge_relay_connections"] == 0)


def test_the_server_is_ready_when_the_database_answers_and_the_writer_runs(server):
    eventually(lambda: server.get("/health/ready").status_code == 200)
    assert server.get("/health/ready").json() == {"status": "ready", "db": True, "writer": True}


def test_what_the_database_refuses_waits_and_is_written_later(server, tmp_path):
    def statement(sql):
        with sqlite3.connect(tmp_path / "ingestion.db", timeout=60) as connection:
            return connection.execute(sql).fetchall()

    statement("alter table samples rename to moved")
    with server.websocket_connect("/relays/north") as relay:
        relay.send_json(start("anna"))
        relay.send_json(samples("anna", 3))
        failed = 'db_write_errors_total{error_type="OperationalError",table="samples"}'
        eventually(lambda: metrics(server).get(failed))
        assert metrics(server)['pending_writes{table="samples"}'] == 3

        statement("alter table moved rename to samples")
        eventually(lambda: metrics(server)['pending_writes{table="samples"}'] == 0)
    assert statement("select value from samples order by value") == [(0.0,), (1.0,), (2.0,)]


OFF = """
from fastapi.testclient import TestClient
from ingestion_server.api import app
with TestClient(app) as client:
    with client.websocket_connect("/relays/north") as relay:
        for message_type in ("session_start", "session_end", "reboot"):
            relay.send_json({"type": message_type, "user_id": "anna"})
        print(relay.receive_json()["refused"])
    paths = ("/users/anna/sessions", "/metrics", "/metrics-custom", "/health")
    print([client.get(path).status_code for path in paths])
"""


def test_with_metrics_off_the_server_serves_and_nothing_is_measured(tmp_path):
    environment = {
        **os.environ,
        "ENABLE_PROMETHEUS_METRICS": "false",
        "DATABASE_URL": f"sqlite:///{tmp_path}/ingestion.db",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), *sys.path]),
    }
    result = subprocess.run(
        [sys.executable, "-c", OFF], capture_output=True, text=True, timeout=100, env=environment, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n") == ["UnknownTypeError", "[200, 404, 404, 200]", ""]
