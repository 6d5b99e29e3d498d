"""Jira and SNS are asked as Alertmanager asks them: beside a record of what its version 0.33.1 sent to the same server.

The record is made anew by `python tests/receivers/test_beside_alertmanager.py path/to/alertmanager [templates]`.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.receivers.clients import Clients
from trackside.server.receivers.config import ReceiverConfig, filled, integrations
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.templates import NotificationTemplates

RECORD = Path(__file__).parent / "testdata" / "alertmanager_0.33.1.json"
STEPS = ("fires", "still fires", "is over", "fires again")
TRANSITIONS = [{"id": "11", "name": "Close"}, {"id": "12", "name": "Reopen"}]
TOPIC = "arn:aws:sns:us-east-2:698519295917:My-Topic"
PUBLISHED = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
ALERTS: list[dict[str, dict[str, str]]] = [
    {
        "labels": {"alertname": "Down", "job": "shop", "i": "1", "severity": "warning"},
        "annotations": {"summary": "Down is bad", "runbook_url": "http://runbook/1"},
    },
    {"labels": {"alertname": "Down", "job": "shop", "i": "2", "severity": "critical"}, "annotations": {}},
]


def jira(**section: object) -> tuple[str, dict[str, object]]:
    return "jira", {"api_url": "{url}/rest/api/2", "project": "OPS", "issue_type": "Bug", **section}


def sns(**section: object) -> tuple[str, dict[str, object]]:
    login = {"region": "us-east-2", "access_key": "AKIAX", "secret_key": "secret"}
    target = {} if {"phone_number", "target_arn"} & section.keys() else {"topic_arn": TOPIC}
    return "sns", {"api_url": "{url}", "sigv4": login, **target, **section}


MOVES = {"resolve_transition": "Close", "reopen_transition": "Reopen"}
DOCUMENT = (
    '{"type":"doc","version":1,"content":[{"type":"paragraph","content":[{"type":"text","text":"{{ .Status }}"}]}]}'
)
CASES: Mapping[str, tuple[str, dict[str, object]]] = {
    "jira_plain": jira(),
    "jira_slash": jira(api_url="{url}/rest/api/2/"),
    "jira_moves": jira(**MOVES),
    "jira_duration": jira(**MOVES, reopen_duration="90s", wont_fix_resolution='Won\'t "Do" \\'),
    "jira_duration_without_reopening": jira(reopen_duration="1h", resolve_transition="Close"),
    "jira_wont_fix": jira(wont_fix_resolution="Won't Do", resolve_transition="Close"),
    "jira_cloud_2": jira(api_type="cloud", **MOVES),
    "jira_cloud_3": jira(api_url="{url}/rest/api/3", api_type="cloud", description=DOCUMENT, **MOVES),
    "jira_version_3": jira(api_url="{url}/rest/api/3", description=DOCUMENT),
    "jira_texts": jira(
        project="{{ .CommonLabels.job }}",
        issue_type="{{ .Status }}",
        summary="S {{ .Status }}",
        description="D {{ .Status }}",
        priority="P {{ .Status }}",
        labels=["z", "{{ .CommonLabels.job }}", "a"],
    ),
    "jira_no_updates": jira(
        summary={"template": "T", "enable_update": False}, description={"enable_update": False}, **MOVES
    ),
    "jira_updates": jira(summary={"enable_update": True}, description={"template": "D"}),
    "jira_without_description": jira(description="", priority=""),
    "jira_long": jira(summary="é" * 300, description="x" * 40_000),
    "jira_fields": jira(
        fields={
            "components": {"name": "Monitoring"},
            "customfield_1": "{{ .Status }}",
            "customfield_2": {"id": "{{ .CommonLabels.job }}", "deep": {"list": ["{{ .Status }}", 1, True, {"n": 2}]}},
            "customfield_3": [{"name": "x {{ .Status }}"}],
            "number": 10,
            "share": 1.5,
            "flag": True,
            "nothing": None,
            "number_as_text": "12",
            "flag_as_text": "true",
            "json": '{"a": 1}',
            "date": "2020-01-01",
            "empty": "",
            "summary": "another",
            "issuetype": {"name": "Task"},
        }
    ),
    "sns_topic": sns(),
    "sns_phone": sns(phone_number="+15551234567"),
    "sns_phone_long": sns(phone_number="+1{{ .Status }}", message="é" * 1_700),
    "sns_target": sns(target_arn="arn:aws:sns:us-east-2:1:endpoint/x"),
    "sns_texts": sns(subject="S {{ .Status }}", message="M {{ .Status }}", topic_arn=f"{TOPIC}-{{{{ .Status }}}}"),
    "sns_without_subject": sns(subject=""),
    "sns_attributes": sns(attributes={"severity": "{{ .Status }}", "of {{ .Status }}": "x", "a": "1"}),
    "sns_fifo": sns(topic_arn=f"{TOPIC}.fifo"),
}


class Played(ThreadingHTTPServer):
    """A small Jira and a small SNS, one of each for each first part of the path."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.asked: dict[str, list[list[object]]] = {name: [] for name in CASES}
        """Method, path and body of each request, by case."""
        self._done: dict[str, bool] = {}
        """Whether the issue of the case is closed; a case without an issue is not here."""
        played = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                _, name, *rest = self.path.split("/", 2)
                path = "/".join(("", *rest)).rstrip("/")
                is_form = self.headers.get("Content-Type", "").startswith("application/x-www-form")
                body = dict(parse_qsl(text, keep_blank_values=True)) if is_form else json.loads(text or "null")
                played.asked[name].append([self.command, path, body])
                told = PUBLISHED if is_form else json.dumps(played.jira(name, self.command, path, body))
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told.encode())

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def jira(self, name: str, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
        if "/search" in path:
            done = self._done.get(name)
            if done is None or (done and "statusCategory != Done" in str(body["jql"])):
                return {"issues": []}
            category = {"key": "done" if done else "indeterminate"}
            return {"issues": [{"key": "OPS-1", "fields": {"status": {"name": "s", "statusCategory": category}}}]}
        if path.endswith("/transitions"):
            if method == "POST":
                self._done[name] = body == {"transition": {"id": "11"}}
            return {"transitions": TRANSITIONS}
        if method == "POST":
            self._done[name] = False
        return {"key": "OPS-1"}


@pytest.fixture(scope="module")
def played():
    server = Played()
    yield server
    server.shutdown()
    server.server_close()


def notification(name: str, *, resolved: bool) -> Notification:
    state = AlertState.RESOLVED if resolved else AlertState.FIRING
    alerts = tuple(
        Alert(
            Labels.of({**given["labels"], "case": name}),
            Labels.of(given["annotations"]),
            state,
            1.0,
            0,
            0,
            1 if resolved else None,
            generator_url="http://monitor/graph?a=b&c=d",
        )
        for given in ALERTS
    )
    key = f'{{}}/{{case="{name}"}}:{{alertname="Down"}}'
    return Notification(name, key, Labels.of(alertname="Down"), alerts, "http://monitor")


@pytest.mark.parametrize("name", CASES)
def test_it_is_asked_as_alertmanager_asks(played, name):
    kind, section = CASES[name]
    given = json.loads(json.dumps(section).replace("{url}", f"{played.url}/{name}"))
    receiver = filled(ReceiverConfig.model_validate({"name": name, f"{kind}_configs": [given]}), NotificationDefaults())
    found: dict[str, list[list[object]]] = {}

    async def story() -> None:
        clients = Clients()
        (one,) = integrations(receiver, clients.get, NotificationTemplates({}, lambda: 1_700_000_000_000))
        for step in STEPS:
            before = len(played.asked[name])
            await one.send(notification(name, resolved=step == "is over"))
            found[step] = played.asked[name][before:]
        await clients.close()

    asyncio.run(story())
    assert comparable(found) == json.loads(RECORD.read_text())[name]


def comparable(steps: Mapping[str, list[list[object]]]) -> dict[str, list[list[object]]]:
    return {step: [[method, path, _shown(body)] for method, path, body in asked] for step, asked in steps.items()}


def _shown(value: object) -> object:
    """Without what we say on purpose otherwise: blank lines, and what SNS takes for the same message. Long texts are
    cut."""
    if isinstance(value, dict):
        return {name: _shown(inner) for name, inner in value.items() if name != "MessageDeduplicationId"}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    if not isinstance(value, str):
        return value
    text = re.sub(r"\n+", "\n", value).strip()
    return f"{text[:20]} [{len(text)} characters] {text[-20:]}" if len(text) > 1_000 else text


def test_the_record_is_of_these_cases():
    assert set(json.loads(RECORD.read_text())) == set(CASES)


def record(program: str, templates: str) -> dict[str, dict[str, list[list[object]]]]:
    """What Alertmanager asks at each step of each case."""
    played = Played()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(json.dumps(_config(played.url, templates)))
        flags = [f"--config.file={config}", f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
        flags += ["--cluster.listen-address=", "--web.external-url=http://monitor"]
        with subprocess.Popen([program, *flags], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                return _recorded(played, f"http://127.0.0.1:{port}")
            finally:
                process.terminate()
                played.shutdown()


def _config(url: str, templates: str) -> dict[str, object]:
    receivers: list[dict[str, object]] = [{"name": "nobody"}]
    routes: list[dict[str, object]] = []
    for name, (kind, section) in CASES.items():
        given = json.loads(json.dumps(section).replace("{url}", f"{url}/{name}"))
        receivers.append({"name": name, f"{kind}_configs": [given]})
        routes.append({"receiver": name, "matchers": [f'case="{name}"'], "group_by": ["alertname"]})
    times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    route = {"receiver": "nobody", "routes": routes, **times}
    return {"route": route, "receivers": receivers, "templates": [templates] if templates else []}


def _recorded(played: Played, address: str) -> dict[str, dict[str, list[list[object]]]]:
    recorded: dict[str, dict[str, list[list[object]]]] = {name: {} for name in CASES}
    starts = time.time() - 60
    for step in STEPS:
        before = {name: len(asked) for name, asked in played.asked.items()}
        over = step == "is over"
        if step == "fires again":
            starts = time.time()
        if step != "still fires":
            _push(address, starts, time.time() if over else None)
        time.sleep(4 if step == "still fires" else 3)
        for name, asked in played.asked.items():
            batches = _batches(asked[before[name] :])
            # While it fires, more than one was sent; what is over is told once, after perhaps one more of those.
            recorded[name][step] = batches[-1 if over else 0] if batches else []
    return {name: comparable(steps) for name, steps in recorded.items()}


def _batches(asked: list[list[object]]) -> list[list[object]]:
    """The requests of each notification: at Jira, it begins with a search."""
    batches: list[list[object]] = []
    for one in asked:
        if "/search" in str(one[1]) or (isinstance(one[2], dict) and one[2].get("Action") == "Publish"):
            batches.append([])
        if batches:
            batches[-1].append(one)
    return batches


def _push(address: str, starts: float, ends: float | None) -> None:
    times = {"startsAt": _rfc3339(starts)} | ({} if ends is None else {"endsAt": _rfc3339(ends)})
    alerts = [
        {**one, "labels": {**one["labels"], "case": name}, "generatorURL": "http://monitor/graph?a=b&c=d", **times}
        for name in CASES
        for one in ALERTS
    ]
    for _ in range(100):
        try:
            httpx.post(f"{address}/api/v2/alerts", json=alerts).raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


if __name__ == "__main__":
    program, *rest = sys.argv[1:]
    RECORD.write_text(json.dumps(record(program, "".join(rest)), ensure_ascii=False, indent=1) + "\n")
