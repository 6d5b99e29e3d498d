"""`/api/v1/jobs/…` and `/admin/…` on sources that say what they are told."""

import csv
import io
import json
from dataclasses import replace

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.source import Measure
from trackside.jobs.verdicts.facts import ExpectedBeat
from trackside.model.jobs import (
    Fidelity,
    Job,
    JobDetail,
    JobReport,
    JobsPage,
    JobsSample,
    JobState,
    QueueNow,
    ScheduleNow,
    WorkerNow,
)
from trackside.server.access.roles import Role
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.watch import Expectations, JobsWatch

NOW_MS = 1_764_079_335_000


def job(id, state=JobState.QUEUED, **more):
    facts = {"enqueued_ms": NOW_MS - 60_000, "attempt": 1}
    if state is not JobState.QUEUED:
        facts |= {"started_ms": NOW_MS - 40_000, "worker": "w-1"}
    if state.is_final:
        facts |= {"finished_ms": NOW_MS - 10_000}
    return Job(id, "render", "high", state, state.value, **(facts | more))


class FakeSource:
    def __init__(self, backend="rq", jobs=()):
        self.backend = backend
        self.fidelity = {Measure.WORKERS: Fidelity.EXACT, Measure.DEPTH: Fidelity.EXACT}
        self.jobs = list(jobs)
        self.details = {}
        self.says = {}
        self.error = ""
        self.asked = []

    def sample(self, cursor=None):
        self._check()
        return JobsSample(NOW_MS, cursor=[len(self.asked)], **self.says)

    def find(self, query, after="", limit=50):
        self._check()
        self.asked.append((query, after, limit))
        start = int(after or 0)
        wanted = [one for one in self.jobs if not query.states or one.state in query.states]
        rest = len(wanted) > start + limit
        return JobsPage(tuple(wanted[start : start + limit]), str(start + limit) if rest else "")

    def get(self, id):
        self._check()
        found = [one for one in self.jobs if one.id == id]
        return self.details.get(id) or (JobDetail(found[0]) if found else None)

    def close(self):
        pass

    def _check(self):
        if self.error:
            raise SourceError(self.error)


@pytest.fixture
def rq():
    source = FakeSource(jobs=[job(f"j{number}", JobState.FAILED, attempt=number % 3) for number in range(10)])
    source.says = {
        "queues": (QueueNow("high", {JobState.QUEUED: 3, JobState.RUNNING: 1}, NOW_MS - 60_000),),
        "workers": (WorkerNow("w-1", ("high",), "busy", NOW_MS - 2_000, NOW_MS + 400_000, ("r1",), 7, 2),),
        "running": (job("r1", JobState.RUNNING),),
        "schedules": (ScheduleNow("nightly", "clean", "low", "0 3 * * *", None, NOW_MS + 3_600_000),),
        "notes": ("a note",),
    }
    return source


@pytest.fixture
def db_source():
    return FakeSource("postgres")


@pytest.fixture
def make_watch(site, tmp_path):
    made = []

    def make(sources, expectations=None, reports=()):
        db = Database(tmp_path / "jobs.db")
        ports = Ports(db, JobsLedger(db), site.clock, "me")
        watch = JobsWatch({name: (source, Pace()) for name, source in sources.items()}, ports, expectations)
        made.append(db)
        assert watch.ledger.take(reports, NOW_MS) == len(reports)
        for name in sources:
            watch.step(name)
        site.console["jobs"] = lambda: watch
        return watch

    yield make
    for db in made:
        db.close()


@pytest.fixture
def watch(make_watch, rq, db_source):
    reports = [
        JobReport(
            "rq",
            f"e{number}",
            "render",
            "high",
            1,
            "failed" if number % 4 == 0 else "succeeded",
            enqueued_ms=NOW_MS - 50_000,
            started_ms=NOW_MS - 40_000,
            finished_ms=NOW_MS - 30_000 + number,
            worker="w-1",
            error="ValueError: broken" if number % 4 == 0 else "",
            cost_usd=0.5,
        )
        for number in range(20)
    ]
    return make_watch({"rq": rq, "db": db_source}, reports=reports)


def data(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


def test_the_summary_has_verdicts_sources_and_figures(site, watch):
    found = data(site.get("/api/v1/jobs/summary"))

    assert found["verdicts"][0]["sentence"].startswith("render is failing")
    assert [(source["name"], source["is_up"]) for source in found["sources"]] == [("rq", True), ("db", True)]
    assert found["sources"][0]["fidelity"]["depth"] == "exact"
    assert found["stats"]["counts"]["failed"] == 5
    assert found["stats"]["success_rate"] == 0.75
    assert found["stats"]["mean_run_seconds"] == pytest.approx(10, rel=0.01)


def test_queues_workers_and_schedules_are_as_they_were_seen(site, watch):
    (queue,) = data(site.get("/api/v1/jobs/queues"))
    (worker,) = data(site.get("/api/v1/jobs/workers"))
    (schedule,) = data(site.get("/api/v1/jobs/schedules"))

    assert (queue["queue"], queue["waiting"], queue["oldest_seconds"], queue["is_unserved"]) == ("high", 3, 60, False)
    assert (worker["id"], worker["status"], worker["expected_at"]) == ("w-1", "active", "2025-11-25T14:08:55.000Z")
    assert (schedule["name"], schedule["rule"]) == ("nightly", "0 3 * * *")


def test_kinds_and_failures_come_from_the_ledger(site, watch):
    (kind,) = data(site.get("/api/v1/jobs/kinds?range=1h"))
    (group,) = data(site.get("/api/v1/jobs/failures?range=1h"))

    assert (kind["kind"], kind["cost_usd"], kind["counts"]["succeeded"]) == ("render", 10.0, 15)
    assert (group["count"], group["newest"]["error"]) == (5, "ValueError: broken")
    assert data(site.get("/api/v1/jobs/kinds?queue=low")) == []


def test_a_series_has_buckets(site, watch):
    found = data(site.get("/api/v1/jobs/series?metric=finished&by=outcome&range=1h&step=1m"))

    assert {line["by"]: sum(value for _, value in line["values"]) for line in found["series"]} == {
        "succeeded": 15,
        "failed": 5,
    }


def test_a_search_goes_through_all_pages(site, watch):
    seen, after = [], ""
    for _ in range(10):
        found = data(site.get("/api/v1/jobs/jobs", params={"q": "source:rq", "limit": "4", "after": after}))
        seen += [one["id"] for one in found["jobs"]]
        after = found["next"]
        if not after:
            break

    assert seen == [f"j{number}" for number in range(10)]


def test_conditions_that_the_back_end_does_not_know_are_checked_here(site, watch, rq):
    rq.details["j4"] = JobDetail(job("j4", JobState.FAILED), (), {"user": {"id": 42}})

    attempts = data(site.get("/api/v1/jobs/jobs", params={"q": "attempt:>1"}))["jobs"]
    of_user = data(site.get("/api/v1/jobs/jobs", params={"q": "args.user.id:42"}))["jobs"]

    assert [one["id"] for one in attempts] == ["j2", "j5", "j8"]
    assert [one["id"] for one in of_user] == ["j4"]
    assert rq.asked[-1][0].text == "42"


def test_a_mistake_in_a_search_says_where_it_stands(site, watch):
    response = site.get("/api/v1/jobs/jobs", params={"q": "queue:high stat:failed"})

    assert response.status_code == 400
    assert response.json()["position"] == {"start": 11, "end": 15}
    assert "did you mean state" in response.json()["error"]


def test_a_source_that_cannot_be_asked_does_not_hide_the_others(site, watch, db_source):
    db_source.error = "the database is gone"

    found = data(site.get("/api/v1/jobs/jobs"))

    assert len(found["jobs"]) == 10
    assert found["errors"] == ["db: the database is gone"]


def test_one_job_with_what_the_ledger_knows_of_it(site, watch, rq):
    rq.jobs.append(job("e3/with a slash", JobState.SUCCEEDED))
    rq.details["e1"] = JobDetail(job("e1", JobState.SUCCEEDED), ("x", float("nan")), {"a": 1})

    found = data(site.get("/api/v1/jobs/rq/e1"))
    gone = data(site.get("/api/v1/jobs/rq/e2"))
    slashed = data(site.get("/api/v1/jobs/rq/e3/with%20a%20slash"))

    assert (found["job"]["args"], found["job"]["kwargs"]) == (["x", None], {"a": 1})
    assert [run["outcome"] for run in found["runs"]] == ["succeeded"]
    assert (gone["job"], len(gone["runs"])) == (None, 1)
    assert slashed["job"]["id"] == "e3/with a slash"


@pytest.mark.parametrize("path", ["rq/nothing", "nowhere/e1", "rq/"])
def test_what_is_not_there_is_not_found(site, watch, path):
    response = site.get(f"/api/v1/jobs/{path}")

    assert (response.status_code, response.json()["errorType"]) == (404, "not_found")


def test_a_job_of_a_source_out_of_reach_is_what_the_ledger_knows_of_it(site, watch, rq):
    rq.error = "Redis is gone"

    found = data(site.get("/api/v1/jobs/rq/e1"))
    unknown = site.get("/api/v1/jobs/rq/nothing")

    assert (found["job"], len(found["runs"]), found["error"]) == (None, 1, "Redis is gone")
    assert (unknown.status_code, unknown.json()["error"]) == (503, "Redis is gone")


def test_exports_hold_the_whole_filter(site, watch, rq):
    rq.jobs = [job(f"j{number}", JobState.FAILED, error="=1+1") for number in range(450)]

    lines = site.get("/api/v1/jobs/jobs.ndjson", params={"q": "state:failed"}).text.splitlines()
    rows = list(csv.DictReader(io.StringIO(site.get("/api/v1/jobs/jobs.csv").text)))

    assert [json.loads(line)["id"] for line in lines] == [f"j{number}" for number in range(450)]
    assert len(rows) == 450
    assert rows[0]["error"] == "'=1+1"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("jobs?limit=501", "at most 500", id="too many at once"),
        pytest.param("jobs?limit=x", "whole number", id="a limit in words"),
        pytest.param("jobs?q=source:nowhere", "there are: rq, db", id="an unknown source"),
        pytest.param("series?metric=height", "expected finished or", id="an unknown metric"),
        pytest.param("series?range=1y&step=1s", "11,000", id="too fine"),
        pytest.param("kinds?range=ages", "a duration", id="no range"),
        pytest.param("kinds?start=10&end=5", "more than nothing", id="backwards"),
        pytest.param("kinds?range=9y", "three years", id="longer than anything is kept"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_in_a_sentence(site, watch, query, says):
    response = site.get(f"/api/v1/jobs/{query}")

    assert response.status_code == 400
    assert says in response.json()["error"]


def test_without_jobs_the_answer_says_how_to_get_some(site):
    for path in ("/api/v1/jobs/summary", "/admin/health", "/api/v1/jobs/jobs.csv"):
        response = site.get(path)
        assert response.status_code == 404
        assert "declare a source" in response.json()["error"]


def test_health_is_the_worst_verdict_and_503_only_when_work_stands_still(site, make_watch, rq):
    make_watch({"rq": rq})
    well = site.get("/admin/health")

    assert (well.status_code, well.json()["status"]) == (200, "healthy")
    assert well.json()["redis"] == {"configured": True, "status": "up", "sources": ["rq"], "errors": []}
    assert well.json()["database"]["configured"] is False
    assert well.json()["workers"] == {"active": 1, "busy": 1, "late": 0, "inferred": False}


def test_health_is_down_while_nobody_consumes_a_queue(site, make_watch, rq):
    rq.says["workers"] = ()
    make_watch({"rq": rq})

    response = site.get("/admin/health")

    assert (response.status_code, response.json()["status"]) == (503, "down")
    assert response.json()["verdict"].startswith("Nobody consumes the queue high")


def test_health_is_degraded_and_not_down_while_jobs_fail(site, watch):
    response = site.get("/admin/health")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")


def test_health_knows_nothing_before_the_first_look(site, make_watch):
    make_watch({}, Expectations(beats=(ExpectedBeat("poller", 1_000),)))

    assert site.get("/admin/health").json()["status"] == "unknown"


def test_workers_are_listed_with_what_they_do(site, watch):
    found = site.get("/admin/workers").json()

    assert (found["active"], found["total"]) == (1, 1)
    assert found["workers"][0]["jobs"] == ["r1"]


def test_workers_that_are_gone_are_listed_for_a_while(site, watch, rq):
    rq.says["workers"] = ()
    watch.step("rq")

    found = site.get("/admin/workers").json()

    assert (found["active"], found["total"]) == (0, 0)
    assert [(worker["id"], worker["status"]) for worker in found["workers"]] == [("w-1", "gone")]


def test_statistics_of_the_last_hours(site, watch):
    found = site.get("/admin/jobs/stats?hours=24").json()

    assert found["hours"] == 24
    assert found["by_status"] == {"queued": 3, "processing": 1, "succeeded": 15, "failed": 5, "cancelled": 0}
    assert (found["total"], found["success_rate"]) == (24, 0.75)
    assert found["average_processing_seconds"] == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("hours", ["0", "-1", "x", "1e3", "99999", "٣", "nan"])
def test_hours_that_make_no_sense_are_refused(site, watch, hours):
    response = site.get("/admin/jobs/stats", params={"hours": hours})

    assert response.status_code == 422
    assert "a number of hours" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("?status=processing", ["r1"], id="processing"),
        pytest.param("?status=failed&limit=2", ["e16", "e12"], id="the last that failed"),
        pytest.param("?status=succeeded&limit=3", ["e19", "e18", "e17"], id="the last that succeeded"),
        pytest.param("?status=queued", ["q1", "q2"], id="queued"),
        pytest.param("?limit=3", ["q1", "q2", "e19"], id="all of them"),
    ],
)
def test_recent_jobs(site, watch, rq, query, expected):
    rq.jobs = [job("q1", enqueued_ms=NOW_MS - 1_000), job("q2", enqueued_ms=NOW_MS - 2_000)]

    found = site.get(f"/admin/jobs/recent{query}").json()

    assert [one["id"] for one in found["jobs"]] == expected
    assert found["count"] == len(expected)


def test_recent_jobs_are_twenty_at_first(site, watch):
    assert site.get("/admin/jobs/recent").json()["limit"] == 20


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1", "status=broken"])
def test_recent_jobs_have_limits(site, watch, query):
    response = site.get(f"/admin/jobs/recent?{query}")

    assert response.status_code == 422
    assert "cannot use" in response.json()["detail"]


def test_metrics_are_totals_and_the_depth_of_queues(site, watch):
    found = site.get("/admin/metrics").json()

    assert (found["totals"]["succeeded"], found["totals"]["failed"], found["totals"]["attempts"]) == (15, 5, 20)
    assert (found["queue_depth"], found["processing"], found["queues"]) == (3, 1, {"rq/high": 3})


@pytest.mark.parametrize("path", ["/admin/health", "/admin/jobs/stats", "/api/v1/jobs/summary"])
def test_everything_needs_a_key_and_a_viewers_is_enough(site, watch, key_of, path):
    refused = site.get(path, key=None)

    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/json")
    assert site.get(path, key=key_of(Role.VIEWER)).status_code == 200


def test_pages_of_the_same_prefix_ask_for_a_login(site, watch):
    assert site.get("/admin/dashboard", key=None).headers["location"].startswith("/login")


def test_times_that_are_not_known_are_null(site, watch, rq):
    rq.jobs = [replace(job("bare"), enqueued_ms=None, attempt=None)]

    (found,) = data(site.get("/api/v1/jobs/jobs"))["jobs"]

    assert (found["enqueued_at"], found["wait_seconds"], found["attempt"]) == (None, None, None)
