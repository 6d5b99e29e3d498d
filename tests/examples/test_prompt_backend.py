"""The prompt backend publishes each session, says so when nobody does, and shows what its team asked for."""

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from free_ports import free_port

from trackside.demo.system import filled

FOLDER = Path(__file__).parents[2] / "examples" / "prompt_backend"
ROWS = yaml.safe_load((FOLDER / "expectations.yml").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboards" / "prompt_backend.json").read_text())
DOCUMENTED = {
    "rate(apalis_jobs_total[5m])": "sum by (job) (rate(apalis_jobs_total[5m]))",
    "apalis_jobs_failed_total": "sum(increase(apalis_jobs_failed_total[1h]))",
    "histogram_quantile(0.95, rate(apalis_jobs_duration_seconds_bucket[5m]))": (
        "histogram_quantile(0.95, sum by (le) (rate(apalis_jobs_duration_seconds_bucket[5m])))"
    ),
    "apalis_active_jobs": "sum(apalis_active_jobs)",
}
"""What the team wrote down, and what says what it means."""
SECONDS = 75
ALL = ("--server", "--bg-tasks", "-A")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_metric_query_and_alert_has_data_here_and_in_prometheus(checked_run):
    """One test and not many: the system runs for a minute, and tests of one module may be spread over processes."""
    run = checked_run("prompt_backend", SECONDS)

    assert run.findings["problems"] == []
    assert run.without_data() == []
    assert {*DOCUMENTED, *DOCUMENTED.values()} <= set(run.queries.values())
    notified = {
        summary: notification["status"]
        for notification in run.findings["notifications"]
        for summary in notification["summaries"]
    }
    assert notified == {"Publishing fails": "firing", "Sessions are published late": "resolved"}
    if run.prometheus is None:
        pytest.skip("Debian's package prometheus is not installed: only our own engine was asked")
    assert run.prometheus.without_data(run.queries | run.alerts(ROWS["alerts"])) == []
    assert run.prometheus.complaints() == []


def test_the_rules_are_the_expected_ones_and_lead_to_the_runbook():
    assert [rule["alert"] for rule in RULES] == [row["alert"] for row in ROWS["alerts"]]
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}

    chapters = re.findall("^## (.*)$", (FOLDER / "RUNBOOK.md").read_text(), re.M)
    anchors = [rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULES]
    assert anchors == [chapter.lower().replace(" ", "-") for chapter in chapters]


def test_each_alert_says_what_it_should():
    promtool = shutil.which("promtool")
    assert promtool or not os.environ.get("CI"), "install Debian's package prometheus"
    if promtool is None:
        pytest.skip("Debian's package prometheus is not installed")
    told = subprocess.run([promtool, "test", "rules", "rules_test.yml"], cwd=FOLDER, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    tested = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES}


def test_the_dashboard_asks_exactly_what_is_expected_to_have_an_answer():
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    assert sorted(asked) == sorted(row["query"] for row in ROWS["queries"])
    assert [row["query"] for row in ROWS["documented"]] == list(DOCUMENTED)


def test_the_panels_of_the_dashboard_do_not_overlap():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """An empty one of each kind."""
    if request.param == "sqlite":
        return Database(f"sqlite:///{tmp_path}/sessions.db")
    url = request.getfixturevalue("postgres_url")
    name = f"prompt_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return Database(f"{url.rpartition('/')[0]}/{name}")


class Database:
    def __init__(self, url) -> None:
        self.url = url

    def rows(self, query):
        if self.url.startswith("sqlite"):
            path = self.url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
                return connection.execute(query).fetchall()
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def run(self, statement):
        self.rows(f"{statement} returning 1")


class Process:
    """One that serves HTTP."""

    def __init__(self, arguments, environment, log, is_up="/health") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *(argument.replace("{port}", str(self.port)) for argument in arguments)],
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), *sys.path]), **environment},
                cwd=log.parent,
            )
        eventually(lambda: self._answers(is_up))

    def _answers(self, path):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx.HTTPError):
            return self.client.get(path).status_code < 600
        return False

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def get(self, path):
        return self.client.get(path).json()

    def create(self, prompt="Write the reminder for invoice 7."):
        answer = self.client.post("/sessions", json={"prompt": prompt})
        assert answer.status_code == 201
        return answer.json()

    def inboxes(self):
        return [session["inbox_status"] for session in self.get("/sessions")]

    def metrics(self):
        """Series as it stands in the text → its value."""
        lines = [line for line in self.client.get("/metrics").text.splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def run(tmp_path):
    """Starts a process; all of them are stopped at the end."""
    started = []

    def start(*arguments, is_up="/health", **environment):
        started.append(Process(arguments, environment, tmp_path / f"{len(started)}.log", is_up))
        return started[-1]

    yield start
    for process in reversed(started):
        process.stop()


@pytest.fixture
def subscriber(run):
    def start(takes_s=0.0):
        arguments = ("-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "prompt_backend.stand_in:app")
        return run(*arguments, SUBSCRIBER_TAKES_SECONDS=str(takes_s))

    return start


@pytest.fixture
def backend(run, database):
    def start(*flags, to=None, lease_s=30, **environment):
        return run(
            *("-m", "prompt_backend", *flags, "--port", "{port}"),
            DATABASE_URL=database.url,
            PUBLISH_URL=f"{to.url if to else 'http://127.0.0.1:1'}/sessions",
            LEASE_SECONDS=str(lease_s),
            **environment,
        )

    return start


def eventually(probe, within_s=60):
    """What `probe` answers, once that is anything."""
    deadline_s = time.monotonic() + within_s
    while not (answer := probe()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s"
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        pytest.param([], "nothing to do: give --server, --bg-tasks -A, or all three", id="nothing"),
        pytest.param(["-A"], "nothing to do", id="all of nothing"),
        pytest.param(["--server", "-A"], "give --bg-tasks too", id="all, but of what"),
        pytest.param(
            ["--server", "--bg-tasks"], "which background tasks? Give -A for all of them", id="tasks, but which"
        ),
        pytest.param(["--bg-tasks", "outbox"], "session-poller", id="a task that does not exist"),
    ],
)
def test_flags_that_would_start_too_little_are_refused(flags, said, monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER.parent)
    command = importlib.import_module("prompt_backend.__main__")

    with pytest.raises(SystemExit) as ended:
        command.main(flags)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_one_command_serves_queues_and_publishes(backend, subscriber):
    to = subscriber()
    service = backend(*ALL, to=to)
    created = [service.create() for _ in range(5)]

    assert {(one["inbox_status"], one["session_status"]) for one in created} == {("active", "active")}
    eventually(lambda: service.inboxes() == ["published"] * 5)
    assert to.get("/received") == {f"outbox-{n}": 1 for n in range(1, 6)}
    ready = {"status": "ready", "db": True, "session-poller": True, "outbox-publisher": True}
    # On a busy machine a beat may be late.
    eventually(lambda: service.get("/health/ready") == ready)
    expected = {
        'apalis_jobs_total{kind="publish_session",queue="outbox"}': 5,
        'apalis_jobs_duration_seconds_count{kind="publish_session",queue="outbox"}': 5,
        'apalis_jobs_failed_total{kind="publish_session",queue="outbox"}': 0,
        'jobs_total{job_name="publish_session",queue="outbox",status="succeeded"}': 5,
    }
    # What is published is counted a moment later.
    eventually(lambda: expected.items() <= service.metrics().items())


def test_what_the_subscriber_refuses_is_tried_again_and_counted(backend):
    service = backend(*ALL)
    service.create()

    failed = 'apalis_jobs_failed_total{kind="publish_session",queue="outbox"}'
    all_of_them = 'apalis_jobs_total{kind="publish_session",queue="outbox"}'
    retried = 'outbox_publish_errors_total{queue="outbox",reason="retried"}'

    def settled():
        """Not between two of the counters that tell of one attempt."""
        found = service.metrics()
        return found if found[failed] >= 2 and found[failed] == found[all_of_them] == found[retried] else None

    shown = eventually(settled)
    # An attempt that will be made again is no failed job.
    assert shown['jobs_total{job_name="publish_session",queue="outbox",status="failed"}'] == 0
    assert service.inboxes() == ["pending"]


@pytest.mark.timeout(240)
def test_a_publisher_that_is_killed_is_replaced_and_the_subscriber_sees_one_key(backend, subscriber, database):
    to = subscriber(takes_s=4)
    server = backend("--server", "--bg-tasks-elsewhere")
    workers = [backend("--bg-tasks", "-A", to=to) for _ in range(2)]
    server.create()

    eventually(lambda: to.get("/received"))
    ((name,),) = database.rows("select worker from outbox_jobs where status = 'running'")
    (killed,) = [worker for worker in workers if f"-{worker.process.pid}-" in name]
    (other,) = [worker for worker in workers if worker is not killed]
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait(60)
    # As if its lease were over, and its word.
    database.run("update outbox_jobs set lease_until_ms = 1")
    database.run(f"update outbox_jobs_workers set late_ms = 1 where id = '{name}'")

    eventually(lambda: server.inboxes() == ["published"])
    # At least once: it came twice, and the key tells that it is the same.
    assert to.get("/received") == {"outbox-1": 2}
    eventually(lambda: database.rows("select status from outbox_jobs") == [("succeeded",)])
    ((attempts, last),) = database.rows("select attempts, worker from outbox_jobs")
    assert (attempts, last != name) == (2, True)
    assert eventually(lambda: other.metrics().get('leases_expired_total{queue="outbox"}')) == 1
    # The dead one is missed.
    eventually(lambda: other.metrics()['queue_workers{queue="outbox"}'] == 1)


def test_a_service_that_is_stopped_ends_what_it_has_in_hands(backend, subscriber, database):
    to = subscriber(takes_s=1.5)
    service = backend(*ALL, to=to)
    service.create()
    eventually(lambda: to.get("/received"))
    service.stop()

    assert database.rows("select inbox_status from session") == [("published",)]
    assert database.rows("select status, attempts from outbox_jobs") == [("succeeded", 1)]
    assert database.rows("select * from outbox_jobs_workers") == []
    assert to.get("/received") == {"outbox-1": 1}


def test_a_server_whose_tasks_run_elsewhere_is_ready_and_says_what_is_missing(backend, subscriber):
    server = backend("--server", "--bg-tasks-elsewhere")
    answer = server.client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json()["errors"] == {
        "background tasks": "no outbox-publisher has said that it lives: the process with --bg-tasks does not run"
    }
    server.create()
    to = subscriber()
    worker = backend("--bg-tasks", "-A", to=to)
    eventually(lambda: server.inboxes() == ["published"])
    eventually(lambda: "errors" not in server.get("/health/ready"))
    eventually(lambda: worker.client.get("/health/ready").status_code == 200)
    assert worker.client.get("/sessions").status_code == 404


def test_with_metrics_off_it_publishes_and_nothing_is_measured(backend, subscriber):
    service = backend(*ALL, to=subscriber(), ENABLE_PROMETHEUS_METRICS="false")
    service.create()

    eventually(lambda: service.inboxes() == ["published"])
    assert service.client.get("/metrics").status_code == 404
    eventually(lambda: service.client.get("/health/ready").status_code == 200)


@pytest.fixture
def on_call():
    """Whoever is told of alerts: (status, summary) of each, in order."""
    told = []

    class Told(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.extend((alert["status"], alert["annotations"]["summary"]) for alert in body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *about):
            pass

    server = HTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", told
    server.shutdown()
    server.server_close()


def doctor(url):
    """What `trackside doctor` says: its exit code and its problems."""
    command = [sys.executable, "-m", "trackside.cli.main", "doctor", url, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    findings = json.loads(answer.stdout)["findings"]
    return answer.returncode, [one["sentence"] for one in findings if one["severity"] == "problem"]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what is waited for is the same with each
@pytest.mark.timeout(240)
def test_started_without_background_tasks_everything_says_so_within_a_minute(
    backend, subscriber, run, database, on_call, tmp_path
):
    """The outage that this system once had: sessions were created, nothing happened to them, and nothing said so."""
    receiver, told = on_call
    service = backend("--server")
    began_s = time.monotonic()
    service.create()
    values = {"backend": service.url.partition("//")[2], "receiver": receiver, "database": database.url}
    (tmp_path / "trackside.yml").write_text(filled((FOLDER / "trackside.yml").read_text(), values))
    (tmp_path / "rules.yml").write_text((FOLDER / "rules.yml").read_text())
    serve = ("-m", "trackside.cli.main", "serve", "--config", str(tmp_path / "trackside.yml"), "--no-auth")
    watching = run(*serve, "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:{port}", is_up="/-/ready")

    ready = service.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["errors"]["session-poller"].startswith("session-poller has never run")
    assert ready.json()["errors"]["outbox-publisher"].startswith("outbox-publisher has never run")
    code, problems = doctor(service.url)
    assert code == 1
    assert [problem.partition(":")[0] for problem in problems] == [
        "session-poller has never run",
        "outbox-publisher has never run",
    ]

    never = "session-poller has never run: was the service started without --bg-tasks -A?"
    eventually(lambda: ("firing", never) in told, 60)
    eventually(lambda: ("firing", never.replace("session-poller", "outbox-publisher")) in told, 60)
    stalled = "Sessions wait for session-poller, the oldest for "
    eventually(lambda: any(said.startswith(stalled) for _, said in told), 60)
    eventually(lambda: watching.client.get("/admin/health").status_code == 503, 60)
    admin = watching.client.get("/admin/health")
    assert admin.json()["status"] == "down"
    assert "session-poller" in verdict(watching)
    assert "session-poller was never seen" in " ".join(one["sentence"] for one in admin.json()["verdicts"])

    def verdicts():
        """As series, of which each is as old as the last look of the server at itself."""
        return {one["labels"]["verdict"] for one in series(watching, "trackside_jobs_verdicts > 0")}

    eventually(lambda: "expected_missing" in verdicts(), 60)
    assert time.monotonic() - began_s < 60
    # What the team looks at first shows no error, which is why it did not help: only the rate is 0.
    assert [one["value"] for one in series(watching, "rate(apalis_jobs_total[1m])")] == [0]

    service.stop()
    to = subscriber()
    mended = backend(*ALL, to=to)
    eventually(lambda: mended.inboxes() == ["published"])
    assert to.get("/received") == {"outbox-1": 1}
    eventually(lambda: mended.client.get("/health/ready").status_code == 200)
    eventually(lambda: doctor(mended.url) == (0, []))


def series(server, query):
    data = server.client.get("/api/v1/query", params={"query": query}).json()["data"]
    return [{"labels": one["metric"], "value": float(one["value"][1])} for one in data["result"]]


def verdict(server):
    """What the page of jobs begins with."""
    page = server.client.get("/jobs").text
    found = re.search('<section class="verdict.*?</section>', page, re.S)
    return " ".join(re.sub("<[^>]*>", " ", found[0]).split())
