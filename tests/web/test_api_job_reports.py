import gzip
import json
import zlib

import pytest

from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.verdicts.facts import SourceView
from trackside.model.jobs import JobReport, JobsSample, QueueNow, WorkerNow
from trackside.server.access.roles import Role
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Ports
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.job_reports import MAX_BODY_BYTES, source_of

PATH = "/api/v1/jobs/reports"


@pytest.fixture
def ledger(site, tmp_path):
    db = Database(tmp_path / "jobs.db")
    ledger = JobsLedger(db)
    watch = JobsWatch({}, Ports(db, ledger, site.clock, "test"))
    site.console["jobs"] = lambda: watch
    yield ledger
    db.close()


@pytest.fixture
def send(site, ledger):
    def send(body, **headers):
        if not isinstance(body, bytes):
            body = json.dumps({"reports": body}).encode()
        return site.post(PATH, content=body, headers=headers)

    return send


@pytest.fixture
def report(site):
    def make(**more):
        now_ms = site.clock.now_ms()
        times = {"started_ms": now_ms - 3_000, "finished_ms": now_ms - 1_000, "run_s": 2.0}
        return {"source": "shop", "id": "17", "kind": "render", "queue": "high", "attempt": 1, **times, **more}

    return make


def counts(ledger, site):
    return dict(ledger.stats(24, site.clock.now_ms()).counts)


def test_reports_are_counted_once_however_often_they_come(send, report, ledger, site):
    both = [report(cost_usd=0.5), report(attempt=2, outcome="failed", error="ValueError: no", traceback="Traceback")]
    assert send(both).json() == {"status": "success", "data": {"taken": 2, "new": 2}}
    assert send(both).json()["data"] == {"taken": 2, "new": 0}
    assert counts(ledger, site) == {Outcome.SUCCEEDED: 1, Outcome.FAILED: 1}
    failed, succeeded = ledger.recent().runs
    assert (failed.error, failed.traceback) == ("ValueError: no", "Traceback")
    assert succeeded.cost_usd == 0.5


def test_the_answer_says_which_report_was_wrong_and_the_others_are_kept(send, report, ledger, site):
    answer = send([report(), report(id=""), report(id="18", attempt="first")])
    assert answer.status_code == 400
    assert answer.json() == {
        "status": "error",
        "errorType": "bad_data",
        "error": "2 of 3 reports make no sense; the others are kept: reports[1]: id: expected a text, got str '';"
        " reports[2]: attempt: expected a whole number, 0 or more, got str 'first'",
        "data": {"taken": 1, "new": 1},
        "wrong": [
            "reports[1]: id: expected a text, got str ''",
            "reports[2]: attempt: expected a whole number, 0 or more, got str 'first'",
        ],
        "warnings": [],
    }
    assert counts(ledger, site) == {Outcome.SUCCEEDED: 1}


def test_of_many_wrong_ones_the_first_are_named(send):
    answer = send([{}] * 500).json()
    assert len(answer["wrong"]) == 21
    assert answer["wrong"][-1] == "and 480 more"


HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("off_ms", "note"),
    [
        pytest.param(0, None, id="right"),
        pytest.param(5_000, None, id="a little ahead"),
        pytest.param(10 * 60_000, "the clock of w1 is 598 s ahead of this server's", id="ten minutes ahead"),
        pytest.param(10**12, "ahead of", id="thirty years ahead"),
        pytest.param(-6 * HOUR_MS, None, id="late, since the server was away"),
        pytest.param(-400 * 24 * HOUR_MS, "behind", id="a year behind"),
    ],
)
def test_a_clock_that_cannot_be_right_is_noted_and_the_run_ends_now(send, report, ledger, site, off_ms, note):
    now_ms = site.clock.now_ms()
    one = report(worker="w1", started_ms=now_ms - 3_000 + off_ms, finished_ms=now_ms - 1_000 + off_ms)
    del one["run_s"]
    for _ in range(2):
        answer = send([one]).json()
        assert answer["status"] == "success"
        site.clock.time_ms += 1_000
    if note is None:
        assert "warnings" not in answer
    else:
        assert note in answer["warnings"][0]
    (run,) = ledger.recent().runs
    assert run.run_s == 2.0
    if note or off_ms == 5_000:
        assert run.ended_ms == now_ms
    assert sum(counts(ledger, site).values()) == 1


def deep(depth):
    return b'{"reports": [{"source": "a", "id": "1", "error": ' + b"[" * depth + b"]" * depth + b"}]}"


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        pytest.param(b"", {}, 400, "not JSON", id="nothing"),
        pytest.param(b'{"reports": [', {}, 400, "not JSON", id="cut off"),
        pytest.param(b'{"reports": [{"cost_usd": NaN}]}', {}, 400, "NaN is no number", id="NaN"),
        pytest.param(deep(100_000), {}, 400, "nested too deeply", id="deep"),
        pytest.param(deep(300), {}, 400, "error: expected a text", id="less deep"),
        pytest.param(b" " * (MAX_BODY_BYTES + 1), {}, 413, "longer than 1,048,576 bytes", id="long"),
        pytest.param(b"{}", {"content-encoding": "gzip"}, 400, "no gzip", id="not compressed"),
        pytest.param(b"{}", {"content-encoding": "br"}, 400, "compressed by gzip", id="another compression"),
        pytest.param(gzip.compress(b"{}")[:-9], {"content-encoding": "gzip"}, 400, "ends too soon", id="half"),
        pytest.param(
            gzip.compress(b" " * 50_000_000), {"content-encoding": "gzip"}, 413, "when it is inflated", id="a bomb"
        ),
        pytest.param(zlib.compress(b"{}"), {"content-encoding": "gzip"}, 400, "no gzip", id="zlib"),
    ],
)
def test_hostile_bodies_are_refused_with_a_reason(send, ledger, site, body, headers, status, reason):
    answer = send(body, **headers)
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert counts(ledger, site) == {}


def test_a_compressed_body_is_read(send, report, ledger, site):
    body = gzip.compress(json.dumps({"reports": [report()]}).encode())
    assert send(body, **{"content-encoding": "gzip"}).json()["data"]["new"] == 1


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 200), (None, 401)], ids=["viewer", "operator", "nobody"]
)
def test_reporting_is_writing(site, ledger, key_of, report, role, status):
    key = key_of(role) if role else None
    body = json.dumps({"reports": [report()]})
    assert site.post(PATH, content=body, key=key).status_code == status
    assert sum(counts(ledger, site).values()) == (status == 200)


def test_a_server_without_jobs_says_so(site):
    answer = site.post(PATH, content=b'{"reports": []}')
    assert answer.status_code == 404
    assert "no section jobs in its configuration" in answer.json()["error"]


def view(name, backend="rq", queues=(), workers=()):
    sample = JobsSample(0, tuple(QueueNow(one, {}) for one in queues), tuple(WorkerNow(one) for one in workers))
    return SourceView(name, backend, sample)


@pytest.mark.parametrize(
    ("report", "views", "source"),
    [
        pytest.param(JobReport("shop", "1", "a"), [], "shop", id="no source"),
        pytest.param(JobReport("shop", "1", "a", backend="rq"), [view("x", "celery")], "shop", id="of another kind"),
        pytest.param(JobReport("shop", "1", "a"), [view("x")], "shop", id="of no library"),
        pytest.param(JobReport("shop", "1", "a", backend="rq"), [view("x"), view("y", "arq")], "x", id="the only one"),
        pytest.param(JobReport("y", "1", "a", backend="rq"), [view("x"), view("y", "table")], "y", id="by name"),
        pytest.param(
            JobReport("shop", "1", "a", "q", backend="rq"),
            [view("x", queues=["p"]), view("y", queues=["q"])],
            "y",
            id="by queue",
        ),
        pytest.param(
            JobReport("shop", "1", "a", "q", worker="w", backend="rq"),
            [view("x", queues=["q"], workers=["w"]), view("y", queues=["q"])],
            "x",
            id="by worker",
        ),
        pytest.param(
            JobReport("shop", "1", "a", "q", backend="rq"),
            [view("x", queues=["q"]), view("y", queues=["q"])],
            "shop",
            id="it cannot be told",
        ),
    ],
)
def test_a_report_belongs_to_the_source_that_knows_its_job(report, views, source):
    assert source_of(report, views) == source
