"""What is told once counts once, whoever tells it, how often, and after whichever restart."""

import threading
from dataclasses import replace

import pytest

from trackside.jobs.ledger.charts import ChartBy, ChartMetric
from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.runs import Outcome
from trackside.model.jobs import JobReport, JobsSample, JobState, Throughput
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger, Kept, Range
from trackside.server.jobs.runs import store as runs
from trackside.server.jobs.runs.store import Bounds, RunFilter

S, F, R = Outcome.SUCCEEDED, Outcome.FAILED, Outcome.RETRIED


def take(ledger, sample, source="rq"):
    return ledger.take_sample(source, sample, ledger.position(source))


def counts(ledger, at, seconds=3_600):
    return dict(ledger.stats(24, at + seconds * 1000).counts)


def test_a_sample_is_counted(ledger, at, sample, ended):
    assert take(ledger, sample(10, ended("a", 5), ended("b", 6, JobState.FAILED, error="ValueError: no")))

    stats = ledger.stats(24, at + 20_000)
    assert stats.counts == {S: 1, F: 1}
    assert stats.success_rate == 0.5
    assert stats.mean_run_s == 2.0
    assert stats.wait_s[0.5] == pytest.approx(1.0, rel=0.091)


def test_the_same_sample_twice_counts_once(ledger, at, sample, ended):
    one = sample(10, ended("a", 5), ended=(Throughput("high", 3, 0),))
    since = ledger.position("rq")

    assert ledger.take_sample("rq", one, since)
    assert not ledger.take_sample("rq", one, since)
    assert not take(ledger, one)
    take(ledger, sample(60))
    take(ledger, sample(90))
    assert counts(ledger, at) == {S: 3}


def test_two_instances_that_sample_from_the_same_position_count_once(ledger, path, at, sample, ended):
    other_db = Database(path)
    other = JobsLedger(other_db)
    since, since_too = ledger.position("rq"), other.position("rq")

    took = [
        ledger.take_sample("rq", sample(10, ended("a", 5), ended=(Throughput("high", 1, 0),)), since),
        other.take_sample("rq", sample(11, ended("a", 5), ended("b", 6), ended=(Throughput("high", 2, 0),)), since_too),
        # The one that lost looks again, from where the other left off.
        other.take_sample("rq", sample(12, ended("b", 6), ended=(Throughput("high", 1, 0),)), other.position("rq")),
        take(ledger, sample(60)),
        take(ledger, sample(90)),
    ]

    assert took == [True, False, True, True, True]
    assert counts(ledger, at) == {S: 2}
    other_db.close()


def test_a_restart_loses_nothing_and_repeats_nothing(path, at, sample, ended):
    for second in range(0, 100, 5):
        db = Database(path)
        ledger = JobsLedger(db)
        assert ledger.position("rq").cursor == ([second - 5] if second else None)
        take(ledger, sample(second, ended(f"j{second}", second - 1), ended=(Throughput("high", 2, 0),)))
        if second < 95:
            db.close()

    take(ledger, sample(120))
    take(ledger, sample(140))
    take(ledger, sample(160))
    assert counts(ledger, at) == {S: 40}
    db.close()


def test_an_attempt_that_is_shown_in_two_samples_counts_once(ledger, at, sample, ended):
    take(ledger, sample(10, ended("a", 5)))
    take(ledger, sample(15, ended("a", 5), ended("b", 12)))

    assert counts(ledger, at) == {S: 2}


def test_each_attempt_of_a_job_counts(ledger, at, sample, ended):
    take(ledger, sample(10, ended("a", 5, JobState.RETRYING, attempt=1)))
    take(ledger, sample(20, ended("a", 15, JobState.SUCCEEDED, attempt=2)))

    stats = ledger.stats(24, at + 30_000)
    assert stats.counts == {R: 1, S: 1}
    assert stats.success_rate == 1.0, "a retried attempt is no failed job"


@pytest.mark.parametrize("attempt", [1, None])
def test_a_failed_job_that_is_run_again_by_hand_counts_again(ledger, at, sample, ended, attempt):
    take(ledger, sample(10, ended("a", 5, JobState.FAILED, attempt=attempt)))
    take(ledger, sample(30, ended("a", 25, JobState.SUCCEEDED, attempt=attempt)))

    assert counts(ledger, at) == {F: 1, S: 1}


def test_sixty_successes_and_eighteen_failed_attempts_of_which_half_are_never_shown(ledger, at, sample, ended):
    """Half of the successes leave no trace, retried attempts neither: the workers' counters know them."""
    for tick in range(30):
        shown = [ended(f"s{tick}", tick * 5)]
        failed = [ended(f"k{tick}", tick * 5, JobState.FAILED)] if tick < 3 else []
        told = Throughput("", 2, (1 if tick < 15 else 0) + len(failed))
        take(ledger, sample(tick * 5, *shown, *failed, ended=(told,)))
    for tick in range(30, 38):
        take(ledger, sample(tick * 5))

    assert counts(ledger, at) == {S: 60, F: 3, R: 15}
    assert ledger.stats(24, at + 3_600_000, JobFilter(kind="")).counts == {S: 30, R: 15}


def test_a_counter_that_is_read_before_the_job_is_shown_counts_it_once(ledger, at, sample, ended):
    take(ledger, sample(0))
    take(ledger, sample(5, ended=(Throughput("high", 1, 0),)))
    take(ledger, sample(10, ended("a", 4)))
    take(ledger, sample(15, ended("b", 14)))
    take(ledger, sample(20, ended=(Throughput("high", 1, 0),)))
    for second in range(25, 90, 5):
        take(ledger, sample(second))

    assert counts(ledger, at) == {S: 2}


def test_a_worker_that_takes_its_counter_with_it_is_not_held_against_others(ledger, at, sample, ended):
    take(ledger, sample(0, ended=(Throughput("high", 0, 0),)))
    take(ledger, sample(5, ended("a", 4)))
    for second in range(10, 60, 5):
        take(ledger, sample(second))
    take(ledger, sample(60, ended=(Throughput("high", 1, 0),)))
    for second in range(65, 120, 5):
        take(ledger, sample(second))

    assert counts(ledger, at) == {S: 2}


def test_what_is_not_shown_belongs_to_the_queue_that_counted_it(ledger, at, sample, ended):
    take(ledger, sample(0))
    take(ledger, sample(5, ended("a", 4), ended=(Throughput("high", 1, 0), Throughput("low", 2, 0))))
    for second in range(10, 60, 5):
        take(ledger, sample(second))

    assert ledger.stats(24, at + 90_000, JobFilter(queue="low")).counts == {S: 2}
    assert ledger.stats(24, at + 90_000, JobFilter(queue="high")).counts == {S: 1}


@pytest.fixture
def report(at):
    plain = JobReport(
        "rq",
        "a",
        "render",
        "high",
        1,
        "failed",
        started_ms=at + 3_100,
        finished_ms=at + 5_100,
        error="ValueError: no",
        traceback='Traceback\n  File "/srv/shop/render.py", line 41, in paint\nValueError: no',
        cost_usd=0.25,
        tokens=900,
    )
    return lambda **more: replace(plain, **more)


@pytest.mark.parametrize("hook_first", [True, False], ids=["the hook speaks first", "the sample comes first"])
@pytest.mark.parametrize("attempt", [1, None])
def test_a_hook_and_a_sample_of_one_attempt_count_once(ledger, at, sample, ended, report, hook_first, attempt):
    seen = sample(10, ended("a", 5, JobState.FAILED, error="ValueError: no", attempt=attempt))
    if hook_first:
        ledger.take([report()], at + 6_000)
        take(ledger, seen)
    else:
        take(ledger, seen)
        assert ledger.take([report()], at + 12_000) == 0
    assert ledger.take([report()], at + 13_000) == 0

    stats = ledger.stats(24, at + 20_000)
    assert stats.counts == {F: 1}
    assert stats.cost_usd == 0.25
    (run,) = ledger.recent().runs
    assert run.traceback.endswith("ValueError: no")
    assert run.attempt == 1
    assert run.wait_s == pytest.approx(1.0, abs=0.2)
    (group,) = ledger.failures(Range(at, at + 60_000))
    assert (group.count, group.text) == (1, "ValueError: no")


def test_the_back_end_knows_better_than_a_hook_whether_a_job_goes_on(ledger, at, sample, ended, report):
    ledger.take([report()], at + 6_000)
    take(ledger, sample(10, ended("a", 5, JobState.RETRYING, error="ValueError: no")))

    assert counts(ledger, at) == {R: 1}
    assert sum(cell.count for key, cell in ledger.totals() if key.outcome is R) == 1
    # A counter never falls.
    assert sum(cell.count for key, cell in ledger.totals() if key.outcome is F) == 1


def test_attempts_told_by_a_hook_are_not_counted_again_as_unseen(ledger, at, sample, report):
    take(ledger, sample(0))
    take(ledger, sample(10, ended=(Throughput("high", 0, 1),)))
    ledger.take([report()], at + 11_000)
    for second in range(15, 60, 5):
        take(ledger, sample(second))

    assert counts(ledger, at) == {F: 1}


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"outcome": "running"}, id="still runs"),
        pytest.param({"outcome": "no outcome"}, id="unknown outcome"),
        pytest.param({"id": ""}, id="no id"),
        pytest.param({"source": ""}, id="no source"),
    ],
)
def test_a_report_that_makes_no_sense_is_left_out(ledger, at, report, odd):
    assert ledger.take([report(**odd)], at + 6_000) == 0
    assert counts(ledger, at) == {}


def test_odd_values_in_a_report_do_no_harm(ledger, at, report):
    odd = report(
        id="x" * 10_000,
        kind="\ud800",
        attempt=-1,
        started_ms=-5,
        finished_ms=10**17,
        run_s=float("nan"),
        cost_usd=float("inf"),
        tokens=2**80,
        traceback="x\n" * 100_000,
    )
    assert ledger.take([odd], at + 6_000) == 1
    (run,) = ledger.recent().runs
    assert (run.kind, run.attempt, run.cost_usd, run.tokens, run.ended_ms) == ("?", None, None, None, at + 6_000)
    assert len(run.traceback) <= 16_384


def test_a_worker_whose_clock_is_ahead_ends_nothing_in_the_future(ledger, at, sample, ended):
    take(ledger, sample(10, ended("a", 600)))
    take(ledger, sample(20, ended("a", 600)))

    assert counts(ledger, at, 20) == {S: 1}


def test_kinds_beyond_the_limit_are_counted_together(ledger, at, sample, ended):
    take(ledger, sample(10, *(ended(f"j{n}", 5, kind=f"kind {n}") for n in range(230))))
    take(ledger, sample(20, ended("again", 15, kind="kind 7"), ended("more", 15, kind="kind 220")))

    kinds = {kind.kind: sum(kind.stats.counts.values()) for kind in ledger.kinds(Range(at, at + 30_000), at + 30_000)}
    assert len(kinds) == 201
    assert kinds["other"] == 31
    assert kinds["kind 7"] == 2
    assert ledger.recent(RunFilter(JobFilter(kind="kind 220"))).runs, "the row keeps the name"


def test_the_table_of_kinds(ledger, at, sample, ended, report):
    take(
        ledger,
        sample(
            10,
            ended("a", 5),
            ended("b", 6, JobState.RETRYING, attempt=1),
            ended("b", 9, attempt=2, started_ms=at + 8_000),
            ended("c", 7, kind="mail"),
        ),
    )
    render, mail = ledger.kinds(Range(at, at + 30_000), at + 30_000)

    assert (render.kind, render.attempts_per_success, render.stats.success_rate) == ("render", 1.5, 1.0)
    assert render.stats.mean_run_s == pytest.approx((2 + 2 + 1) / 3)
    assert mail.stats.counts == {S: 1}


def test_a_chart_has_a_line_for_each_kind(ledger, at, sample, ended):
    take(ledger, sample(70, ended("a", 5), ended("b", 65), ended("c", 66), ended("d", 66, kind="mail")))

    lines = ledger.series(ChartMetric.FINISHED, ChartBy.KIND, Range(at, at + 120_000), 60_000, now_ms=at + 120_000)
    assert [(line.by, [(point.start_ms - at, point.value) for point in line.points]) for line in lines] == [
        ("render", [(0, 1.0), (60_000, 2.0)]),
        ("mail", [(60_000, 1.0)]),
    ]


def test_failures_are_grouped_by_what_does_not_differ(ledger, at, sample, ended):
    errors = [f"TimeoutError: no answer from 10.0.0.{n} after {n} s" for n in range(5)] + ["KeyError: 'user'"]
    jobs = [ended(f"j{n}", n, JobState.FAILED, error=error) for n, error in enumerate(errors)]
    take(ledger, sample(10, *jobs))

    timeouts, keys = ledger.failures(Range(at, at + 30_000))
    assert (timeouts.count, timeouts.newest.id, timeouts.first_ms, timeouts.last_ms) == (5, "j4", at, at + 4_000)
    assert keys.text == "KeyError: '…'"


def test_recent_runs_come_in_pages(ledger, at, sample, ended):
    take(ledger, sample(10, *(ended(f"j{n}", n % 7) for n in range(25)), ended("f", 3, JobState.FAILED)))
    seen, after = [], ""
    while True:
        page = ledger.recent(limit=10, after=after)
        seen += [run.id for run in page.runs]
        after = page.next
        if not after:
            break

    assert len(seen) == len(set(seen)) == 26
    assert [run.id for run in ledger.recent(RunFilter(outcomes=frozenset({F}))).runs] == ["f"]
    assert len(ledger.recent(limit=5, after="no page").runs) == 5


def test_old_rows_and_buckets_go_and_counts_stay(db, at, sample, ended):
    ledger = JobsLedger(db, Kept(rows=Bounds(runs=5, failures=50, certain_ms=1_000)))
    take(
        ledger,
        sample(
            10, *(ended(f"j{n}", n % 7) for n in range(25)), *(ended(f"f{n}", 1, JobState.FAILED) for n in range(9))
        ),
    )
    ledger.compact(at + 60_000)

    rows = ledger.recent(limit=100).runs
    assert len([run for run in rows if run.outcome is F]) == 9, "all failures stay"
    assert 5 <= len([run for run in rows if run.outcome is S]) < 10
    assert counts(ledger, at) == {S: 25, F: 9}

    days = 86_400_000
    ledger.compact(at + 200 * days)
    assert not ledger.recent().runs
    assert ledger.stats(24 * 365, at + 200 * days).counts == {S: 25, F: 9}
    ledger.compact(at + 4 * 365 * days)
    assert ledger.totals() == []


def test_two_instances_at_the_same_time_count_each_run_once(path, at, ended):
    """Each thread takes what comes after the position it read, as two samplers would whose lock failed."""
    taken = []

    def work():
        db = Database(path)
        ledger = JobsLedger(db)
        for _ in range(60):
            since = ledger.position("rq")
            second = (since.cursor or 0) + 1
            one = JobsSample(
                at + second * 1000,
                finished=(ended(f"j{second}", second),),
                ended=(Throughput("high", 2, 0),),
                cursor=second,
            )
            taken.append(ledger.take_sample("rq", one, since))
        db.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db = Database(path)
    ledger = JobsLedger(db)
    for second in range(200, 260, 5):
        take(ledger, JobsSample(at + second * 1000, cursor=second))

    assert sum(taken) >= 60
    assert ledger.stats(1, at + 300_000).counts == {S: 2 * sum(taken)}
    assert len(ledger.recent(limit=500).runs) == sum(taken)
    db.close()


def test_a_transaction_that_fails_leaves_nothing_behind(ledger, at, sample, ended):
    broken = replace(sample(10, ended("a", 5)), cursor=object())
    with pytest.raises(TypeError):
        take(ledger, broken)
    late = replace(sample(10, ended("a", 5)), ended=(Throughput("high", None, 0),))
    with pytest.raises(TypeError):
        take(ledger, late)

    assert ledger.recent().runs == ()
    assert ledger.position("rq").version == 0
    take(ledger, sample(10, ended("a", 5)))
    assert counts(ledger, at) == {S: 1}


def test_a_file_from_before_there_were_ids_of_requests_is_read_on(db, at):
    old = runs.SCHEMA.replace("    request_id TEXT NOT NULL DEFAULT '',\n", "")
    assert old != runs.SCHEMA
    db.create(old)
    ledger = JobsLedger(JobsLedger(db)._db)
    ledger.take([JobReport("rq", "a", "render", finished_ms=at, trace_id="4bf9", request_id="8d2f")], at)

    (run,) = ledger.recent().runs
    assert (run.trace_id, run.request_id) == ("4bf9", "8d2f")


def test_a_sample_and_a_hook_join_in_the_request_too(ledger, at, sample, ended):
    take(ledger, sample(10, ended("a", 5)))
    ledger.take([JobReport("rq", "a", "render", "high", 1, finished_ms=at + 5_000, request_id="8d2f")], at + 11_000)

    assert [run.request_id for run in ledger.recent().runs] == ["8d2f"]
