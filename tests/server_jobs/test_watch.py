"""Sources, ledger, verdicts and metrics together."""

import threading

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.verdicts.facts import ExpectedBeat, Limits
from trackside.model.jobs import JobReport, JobState, QueueNow, ScheduleNow, WorkerNow
from trackside.server.db.database import Database
from trackside.server.jobs.collector import job_families
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.watch import Elsewhere, Expectations, JobsWatch
from trackside.wire import exposition


@pytest.fixture
def watching(source, ports):
    def make(expectations=None, elsewhere=None, **sources):
        named = {"rq": source, **sources}
        return JobsWatch({name: (one, Pace()) for name, one in named.items()}, ports(), expectations, elsewhere)

    return make


def values(watch, name):
    """Label values, in their order, to the number."""
    return {
        tuple(value for _, value in sample.labels.pairs): sample.value
        for family in job_families(watch)
        for sample in family.samples
        if sample.name == name
    }


def run(watch, clock, seconds, name="rq"):
    until = clock.ms + seconds * 1000
    while clock.ms < until:
        clock.tick(watch.step(name))


def test_a_queue_without_a_worker_is_said_within_a_minute(watching, source, clock):
    watch = watching()
    source.says = {"queues": (QueueNow("high", {JobState.QUEUED: 1}, clock.ms),)}
    run(watch, clock, 45)

    assert [verdict.kind.value for verdict in watch.verdicts()] == ["queue_unserved"]
    assert values(watch, "trackside_queue_unserved") == {("high", "rq"): 1.0}


def test_a_poller_that_was_never_started_is_said_though_there_is_no_source(ports, clock):
    watch = JobsWatch({}, ports(), Expectations(beats=(ExpectedBeat("session-poller", 1_000),)))
    assert watch.verdicts()[0].sentence == "Looking… Awaited: the first beat of session-poller."
    clock.tick(40)
    assert "session-poller was never seen" in watch.verdicts()[0].sentence


def test_beats_are_heard_from_elsewhere(ports, clock):
    beats = {}
    watch = JobsWatch(
        {}, ports(), Expectations(beats=(ExpectedBeat("poller", 10_000),)), Elsewhere(beats=lambda: beats)
    )
    clock.tick(100)
    beats["poller"] = clock.ms - 5_000
    assert watch.verdicts()[0].kind.value == "calm"


def test_a_source_out_of_reach_is_a_verdict_and_a_series(watching, source, clock):
    watch = watching()
    run(watch, clock, 5)
    assert values(watch, "trackside_source_up") == {("rq",): 1.0}
    source.error = SourceError("refused")
    run(watch, clock, 20)

    assert watch.verdicts()[0].kind.value == "source_unreachable"
    assert values(watch, "trackside_source_up") == {("rq",): 0.0}
    assert values(watch, "trackside_jobs_verdicts") == {("down", "rq", "source_unreachable"): 1.0}


def test_kinds_that_fail_are_found_in_the_ledger(watching, source, clock, ended):
    watch = watching()
    source.says = {
        "finished": tuple(ended(f"j{n}", 0, JobState.FAILED, error=f"KeyError: 'u{n}'") for n in range(6))
        + tuple(ended(f"s{n}", 0) for n in range(4))
    }
    run(watch, clock, 30)

    (verdict,) = watch.verdicts()
    assert verdict.sentence.startswith("render is failing 60\u202f%")
    assert "6 of 10 jobs in the last 5\u202fm. The cause: KeyError: '…'." in verdict.sentence


def test_open_verdicts_survive_a_restart(watching, source, clock, path):
    source.says = {"queues": (QueueNow("high", {JobState.QUEUED: 1}, clock.ms),)}
    watch = watching()
    run(watch, clock, 45)
    (before,) = watch.verdicts()
    watch.stop()

    db = Database(path)
    again = JobsWatch({"rq": (source, Pace())}, Ports(db, JobsLedger(db), clock, "two"))
    source.says = {"queues": (QueueNow("high", {JobState.QUEUED: 1}, clock.ms - 100),)}
    run(again, clock, 5)
    (after,) = again.verdicts()
    assert (after.key, after.since_ms) == (before.key, before.since_ms)
    db.close()


def test_gauges(watching, source, clock):
    watch = watching()
    source.says = {
        "queues": (
            QueueNow("high", {JobState.QUEUED: 3, JobState.RUNNING: 1}, clock.ms - 20_000),
            QueueNow("low", {JobState.QUEUED: 0}),
        ),
        "workers": (
            WorkerNow("a", ("*",), "busy", jobs=("j",)),
            WorkerNow("b", ("*",), "idle"),
            WorkerNow("c", ("*",), "idle", expected_ms=clock.ms - 1),
        ),
    }
    watch.step("rq")

    assert values(watch, "trackside_queue_jobs") == {
        ("high", "rq", "queued"): 3.0,
        ("high", "rq", "running"): 1.0,
        ("low", "rq", "queued"): 0.0,
    }
    assert values(watch, "trackside_queue_oldest_seconds") == {("high", "rq"): 20.001, ("low", "rq"): 0.0}
    assert values(watch, "trackside_queue_drain_seconds") == {("low", "rq"): 0.0}
    assert values(watch, "trackside_workers") == {("rq", "busy"): 1.0, ("rq", "idle"): 1.0, ("rq", "late"): 1.0}
    assert values(watch, "trackside_jobs_orphaned") == {("rq",): 0.0}
    assert values(watch, "trackside_source_sample_seconds") == {("rq",): pytest.approx(0.001, abs=1e-6)}


def test_counters_and_histograms(watching, source, clock, ended, at):
    watch = watching()
    source.says = {
        "finished": (
            ended("a", 0),
            ended("b", 0, JobState.RETRYING),
            ended("b", 0, JobState.FAILED, attempt=2, started_ms=at - 100, error="KeyError: 1"),
        )
    }
    run(watch, clock, 5)
    watch.ledger.take([JobReport("rq", "a", "render", "high", 1, cost_usd=0.5, finished_ms=at)], clock.ms)

    assert values(watch, "trackside_jobs_finished_total") == {
        ("render", "high", "rq", "succeeded"): 1.0,
        ("render", "high", "rq", "failed"): 1.0,
    }
    assert values(watch, "trackside_job_attempts_total") == {
        ("render", "high", "succeeded", "rq"): 1.0,
        ("render", "high", "failed", "rq"): 1.0,
        ("render", "high", "retried", "rq"): 1.0,
    }
    buckets = values(watch, "trackside_job_run_seconds_bucket")
    assert buckets["render", "1.0", "high", "rq"] == 1.0
    assert buckets["render", "2.0", "high", "rq"] == 3.0
    assert buckets["render", "+Inf", "high", "rq"] == 3.0
    assert values(watch, "trackside_job_run_seconds_sum") == {("render", "high", "rq"): pytest.approx(4.1)}
    assert values(watch, "trackside_job_cost_usd_total") == {("render", "high", "rq"): 0.5}


def test_a_worker_whose_clock_is_ahead(watching, source, clock, ended, at):
    watch = watching()
    source.says = {
        "workers": (WorkerNow("a", skew_s=600.0), WorkerNow("b", skew_s=-0.2)),
        "finished": (ended("a", 0), ended("b", 0, enqueued_ms=at - 1_000, started_ms=at - 2_000)),
    }
    run(watch, clock, 5)

    assert values(watch, "trackside_clock_skew_seconds") == {("rq",): 600.0}
    assert values(watch, "trackside_job_times_clamped_total") == {("rq",): 1.0}
    assert watch.ledger.stats(1, clock.ms).wait_s[0.5] == pytest.approx(1 / 2048)


def test_missed_schedules_and_double_runs_are_counted(watching, source, clock):
    watch = watching()
    source.says = {"schedules": (ScheduleNow("nightly", "report", next_ms=clock.ms + 10_000),)}
    run(watch, clock, 200)

    assert values(watch, "trackside_schedule_missed_total") == {("rq",): 1.0}
    assert values(watch, "trackside_jobs_duplicated_total") == {("rq",): 0.0}


def test_the_four_series_of_dashboards_for_apalis(watching, make_source, clock, ended):
    apalis = make_source("apalis")
    watch = watching(pg=apalis)
    failed = ended("b", 0, JobState.RETRYING, error="no")
    apalis.says = {
        "finished": (ended("a", 0), failed),
        "queues": (QueueNow("high", {JobState.RUNNING: 2}),),
    }
    run(watch, clock, 5, "pg")
    run(watch, clock, 5)

    assert values(watch, "apalis_jobs_total") == {("render", "high", "pg"): 2.0}
    assert values(watch, "apalis_jobs_failed_total") == {("render", "high", "pg"): 1.0}
    assert values(watch, "apalis_active_jobs") == {("high", "pg"): 2.0}
    assert values(watch, "apalis_jobs_duration_seconds_count") == {("render", "high", "pg"): 2.0}
    names = {family.name for family in job_families(watch, "shop")}
    assert {"shop_jobs_total", "shop_jobs_failed_total", "shop_jobs_duration_seconds", "shop_active_jobs"} <= names
    assert not any(family.name.startswith("apalis") for family in job_families(watch, ""))


def test_the_families_are_an_exposition(watching, source, clock, ended):
    watch = watching()
    source.says = {"finished": (ended("a", 0, kind='odd "kind"\n'),)}
    run(watch, clock, 5)

    text = exposition.render(job_families(watch)).decode()
    assert (
        'trackside_jobs_finished_total{kind="odd \\"kind\\"\\n",queue="high",source="rq",state="succeeded"} 1' in text
    )


def test_labels_are_never_workers_or_jobs(watching, source, clock, ended):
    watch = watching()
    source.says = {"finished": (ended("job-id", 0, worker="worker-id"),), "workers": (WorkerNow("worker-id"),)}
    run(watch, clock, 5)

    text = exposition.render(job_families(watch)).decode()
    assert "worker-id" not in text
    assert "job-id" not in text


def test_threads_start_and_stop(path, make_source, clock, started_threads):
    looked = threading.Event()

    class Signals(type(make_source())):
        def sample(self, cursor=None):
            try:
                return super().sample(cursor)
            finally:
                if len(self.cursors) >= 3:
                    looked.set()

    db = Database(path)
    source = Signals(clock)
    watch = JobsWatch({"rq": (source, Pace(interval_s=0.001, most_cost=1.0))}, Ports(db, JobsLedger(db), clock, "one"))
    watch.start()
    assert looked.wait(60)
    watch.stop()

    assert source.is_closed
    of_watch = [each for each in started_threads if each.name.startswith("trackside-jobs")]
    assert of_watch
    assert not any(each.is_alive() for each in of_watch)
    db.close()


def test_two_instances_on_one_file_count_each_job_once(path, make_source, clock, ended):
    """Both look whenever they hold the lock; the lock changes hands again and again."""
    dbs = [Database(path), Database(path)]
    sources = [make_source(), make_source()]
    watches = [
        JobsWatch(
            {"rq": (source, Pace(lease_s=0.001, interval_s=0.0001))}, Ports(db, JobsLedger(db), clock, f"{number}")
        )
        for number, (db, source) in enumerate(zip(dbs, sources, strict=True))
    ]
    for second in range(40):
        for source in sources:
            source.says = {"finished": (ended(f"j{second}", second),)}
        watches[second % 2].step("rq")
        clock.tick(1)
        watches[1 - second % 2].step("rq")

    assert len(sources[0].cursors) > 5
    assert len(sources[1].cursors) > 5
    assert sum(watches[0].ledger.stats(1, clock.ms + 60_000).counts.values()) == 40
    for db in dbs:
        db.close()


def test_a_process_that_does_not_look_comes_to_the_same_verdicts(path, ports, source, make_source, clock):
    db = Database(path)
    first = JobsWatch({"rq": (source, Pace())}, ports("one"))
    second = JobsWatch({"rq": (make_source(), Pace())}, Ports(db, JobsLedger(db), clock, "two"))
    source.says = {"queues": (QueueNow("high", {JobState.QUEUED: 1}, clock.ms),)}
    for _ in range(10):
        first.step("rq")
        second.step("rq")
        clock.tick(5)

    assert [verdict.key for verdict in second.verdicts()] == ["unserved/rq/high"]
    assert [verdict.sentence for verdict in second.verdicts()] == [verdict.sentence for verdict in first.verdicts()]
    db.close()


def test_the_ledger_is_compacted_though_there_is_no_source(ports, clock, ledger, at):
    watch = JobsWatch({}, ports())
    ledger.take([JobReport("shop", "a", "render", finished_ms=at)], at)
    assert ledger.recent().runs
    clock.tick(8 * 86_400)
    watch.verdicts()
    assert not ledger.recent().runs


def test_nobody_who_looks_at_metrics_asks_the_back_end(watching, source, clock):
    watch = watching()
    watch.step("rq")
    for _ in range(100):
        clock.tick(2)
        job_families(watch)
        watch.verdicts()
    assert len(source.cursors) == 1


def test_costs_of_the_day_are_judged_by_their_budget_and_their_kinds(ports, clock):
    watch = JobsWatch({}, ports(), Expectations(limits=Limits(budget_usd=1.0)))
    reports = [
        JobReport("app", f"{kind}{n}", kind, finished_ms=clock.ms - n, cost_usd=usd)
        for kind, usd in (("mail", 0.05), ("render", 0.3))
        for n in range(5)
    ]
    watch.ledger.take(reports, clock.ms)
    clock.tick(60)

    (verdict,) = watch.verdicts()
    assert verdict.kind.value == "budget_exceeded"
    assert verdict.sentence.replace("\u202f", " ").startswith(
        "Jobs have cost $1.75 today, $0.75 more than the budget of $1.00: render $1.50 (86 %) and mail $0.25 (14 %)"
    )


def test_a_trace_has_an_address_where_somebody_said_so(ports):
    watch = JobsWatch({}, ports(), elsewhere=Elsewhere(trace_url="https://tempo.example/t/{trace_id}?o=1"))

    assert watch.trace_link("4bf9/..") == "https://tempo.example/t/4bf9%2F..?o=1"
    assert JobsWatch({}, ports()).trace_link("4bf9") == ""
