"""Each situation and its near miss: what is said, and what must not be."""

import re
from dataclasses import replace

import pytest

from trackside.jobs.ledger.figures import FailureGroup
from trackside.jobs.ledger.runs import Outcome, Run
from trackside.jobs.verdicts.facts import Deploy, ExpectedBeat, ExpectedWorkers, KindNow
from trackside.jobs.verdicts.judging import worst
from trackside.jobs.verdicts.verdict import Severity
from trackside.model.jobs import Job, JobState, ScheduleNow

CALM = ["calm"]
LOOKING = ["looking"]


# --- queues that nobody consumes


@pytest.mark.parametrize(
    ("workers", "more", "expected"),
    [
        pytest.param([], {}, ["queue_unserved"], id="no worker at all"),
        pytest.param([{"queues": ("low",)}], {}, ["queue_unserved"], id="workers of other queues only"),
        pytest.param([{"expected": -20}], {}, ["queue_unserved", "worker_late"], id="its only worker is late"),
        pytest.param([{"expected": 80, "beat": -400}], {}, CALM, id="an idle RQ worker of 400 s is alive"),
        pytest.param([{"queues": ("*",)}], {}, CALM, id="a worker of all queues"),
        pytest.param([{"queues": ()}], {}, CALM, id="a worker of unknown queues"),
        pytest.param([{"beat": -4_000}], {}, CALM, id="a worker of which no beat is expected"),
        pytest.param([], {"knows_workers": False}, CALM, id="the back-end knows no workers"),
    ],
)
def test_nobody_consumes_a_queue(situation, make, workers, more, expected):
    for at in (0, 15, 35):
        kinds = situation.look(
            at,
            queues=(make.queue(waiting=1, oldest=at + 1, at=at),),
            workers=tuple(
                make.worker(**{**one, "expected": one["expected"] + at} if "expected" in one else one)
                for one in workers
            ),
            **more,
        )
    assert kinds == expected


def still(make, at, **more):
    """A table of jobs that does not say who works on them."""
    counts = {JobState.QUEUED: more.pop("waiting", 1), JobState.RUNNING: more.pop("running_now", 0)}
    queue = replace(make.queue(oldest=more.pop("oldest", at + 1), at=at), counts=counts)
    return {"queues": (queue,), "knows_workers": False, "backend": "postgres", **more}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, ["queue_unserved"], id="nothing runs, and nothing ends"),
        pytest.param({"running_now": 1}, CALM, id="something runs"),
        pytest.param({"oldest": 4}, CALM, id="the oldest is young"),
        pytest.param({"finished": (Job("a", "render", "high", JobState.SUCCEEDED, "ok"),)}, CALM, id="something ended"),
    ],
)
def test_nobody_seems_to_consume_a_table_that_lists_no_workers(situation, make, more, expected):
    for at in range(0, 60, 5):
        kinds = situation.look(at, **still(make, at, **more))
    assert kinds == expected
    if expected != CALM:
        assert situation.verdicts[0].sentence == (
            "Nobody seems to consume the queue high: 1 job waits for 56 s, and nothing runs."
        )


def test_a_table_whose_idle_workers_cannot_be_seen_is_served_while_any_of_them_works(situation, make):
    for at in range(0, 100, 5):
        busy = make.worker("w", queues=("mail",), is_inferred=True)
        kinds = situation.look(at, **still(make, at, workers=(busy,)))
    assert kinds == CALM


def test_a_table_from_which_jobs_leave_is_served(situation, make):
    for at in range(0, 100, 5):
        kinds = situation.look(at, **still(make, at, waiting=100 - at))
    assert kinds == CALM


def test_a_deploy_may_leave_a_queue_alone_for_a_moment(situation, make):
    waits = make.queue(waiting=3, oldest=2, at=100)
    assert situation.look(100, queues=(waits,), workers=(make.worker(),)) == CALM
    assert situation.look(110, queues=(waits,)) == CALM
    assert situation.look(125, queues=(waits,), workers=(make.worker("w-2"),)) == CALM
    assert situation.look(135, queues=(waits,)) == CALM


def test_a_queue_that_has_waited_for_minutes_is_said_at_once(situation, make):
    assert situation.look(0, queues=(make.queue(waiting=212, oldest=372),)) == ["queue_unserved"]
    (verdict,) = situation.verdicts
    assert verdict.sentence == (
        "Nobody consumes the queue high: 212 jobs wait, the oldest for 6 m 12 s, and no worker for it was ever seen."
    )
    assert verdict.next_step == "Start a worker for high: rq worker high"
    assert verdict.severity is Severity.DOWN
    assert verdict.figures == {"waiting": 212.0, "oldest_s": 372.0}


def test_the_last_worker_of_a_queue_is_named(situation, make):
    situation.look(0, workers=(make.worker("w-3"),))
    situation.look(420, queues=(make.queue(waiting=1, oldest=65, at=420),))

    (verdict,) = situation.verdicts
    assert "1 job waits for 1 m 5 s, and its last worker w-3 was last seen 7 m ago" in verdict.sentence
    assert verdict.workers == ("w-3",)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param({"waiting": 0}, CALM, id="empty"),
        pytest.param({"waiting": 5, "oldest": 100, "is_paused": True}, ["queue_paused"], id="paused with work in it"),
        pytest.param({"waiting": 0, "is_paused": True}, CALM, id="paused and empty"),
    ],
)
def test_a_queue_without_workers_in_which_nothing_is_due(situation, make, one, expected):
    assert situation.look(0, queues=(make.queue(**one),)) == expected


# --- queues that fall behind


def depths(situation, make, waiting_at, oldest, seconds=range(0, 301, 10), **more):
    for at in seconds:
        kinds = situation.look(
            at,
            queues=(make.queue(waiting=waiting_at(at), oldest=oldest(at), at=at),),
            workers=(make.worker(),),
            **more,
        )
    return kinds


@pytest.mark.parametrize(
    ("waiting_at", "oldest", "expected"),
    [
        pytest.param(lambda at: 100 + at, lambda at: 60 + at, ["queue_never_drains"], id="grows"),
        pytest.param(lambda at: 100, lambda at: 60 + at, ["queue_never_drains"], id="stands still"),
        pytest.param(lambda at: 1_000 - at, lambda at: 100, CALM, id="shrinks"),
        pytest.param(lambda at: 100 + at, lambda at: 10, ["queue_never_drains"], id="grows though the oldest is young"),
        pytest.param(lambda at: 5 + at // 60, lambda at: 90, CALM, id="too few to be a backlog"),
        pytest.param(lambda at: 1_000 - at, lambda at: 400, ["queue_waiting"], id="shrinks, but the oldest is too old"),
        pytest.param(lambda at: 0, lambda at: None, CALM, id="empty"),
    ],
)
def test_a_queue_that_falls_behind(situation, make, waiting_at, oldest, expected):
    assert depths(situation, make, waiting_at, oldest) == expected


def test_it_is_said_how_fast_a_queue_grows_and_when_it_is_empty(situation, make):
    depths(situation, make, lambda at: 100 + at, lambda at: 60 + at)
    (verdict,) = situation.verdicts
    assert verdict.sentence == (
        "The queue high will never drain at this rate: 400 jobs wait, the oldest for 6 m, 60 more each minute with "
        "1 worker."
    )
    assert verdict.severity is Severity.HIGH

    situation.memory = type(situation.memory)()
    depths(situation, make, lambda at: 1_000 - 2 * at, lambda at: 400)
    (verdict,) = situation.verdicts
    assert "400 jobs wait, the oldest for 6 m 40 s; it drains in 3 m 20 s with 1 worker" in verdict.sentence


def test_too_few_looks_say_nothing_about_the_rate(situation, make):
    assert depths(situation, make, lambda at: 100 + at, lambda at: 10 + at, range(0, 100, 10)) == CALM


# --- what was declared


@pytest.mark.parametrize(
    ("beats", "at", "expected"),
    [
        pytest.param({}, 10, LOOKING, id="never seen, but we have only begun"),
        pytest.param({}, 31, ["expected_missing"], id="never seen for half a minute"),
        pytest.param({"session-poller": 98}, 100, CALM, id="on time"),
        pytest.param({"session-poller": 95.5}, 100, CALM, id="late, within the grace"),
        pytest.param({"session-poller": 40}, 100, ["expected_missing"], id="stopped"),
    ],
)
def test_a_declared_poller(situation, now, beats, at, expected):
    heard = {name: now + int(second * 1000) for name, second in beats.items()}
    beat = ExpectedBeat("session-poller", 1_000)
    kinds = situation.judge(at, expected_beats=(beat,), beats=heard)
    assert kinds == expected
    if expected not in (CALM, LOOKING):
        assert "session-poller" in situation.verdicts[0].sentence
        assert situation.verdicts[0].severity is Severity.DOWN


@pytest.mark.parametrize(
    ("workers", "expected", "severity"),
    [
        pytest.param((), ["expected_missing"], Severity.DOWN, id="none"),
        pytest.param(("w-1",), ["expected_missing"], Severity.MEDIUM, id="one of two"),
        pytest.param(("w-1", "w-2"), CALM, Severity.CALM, id="both"),
        pytest.param(("w-1", "w-2", "w-3"), CALM, Severity.CALM, id="one more"),
    ],
)
def test_declared_workers(situation, make, workers, expected, severity):
    situation.facts["expected_workers"] = (ExpectedWorkers("high", 2),)
    for at in (0, 30, 65):
        kinds = situation.look(at, workers=tuple(make.worker(id) for id in workers))
    assert kinds == expected
    assert situation.verdicts[0].severity is severity


def test_declared_workers_are_not_missed_where_nothing_can_be_seen(situation):
    situation.facts["expected_workers"] = (ExpectedWorkers("high", 2),)
    for at in (0, 65, 130):
        kinds = situation.look(at, unseen=True, error="connection refused")
    assert kinds == ["source_unreachable"]


# --- running jobs


@pytest.mark.parametrize(
    ("job", "workers", "expected"),
    [
        pytest.param({"lease": 50}, ["w-1"], CALM, id="within its lease"),
        pytest.param({"lease": 26}, ["w-1"], CALM, id="just beyond: clocks differ"),
        pytest.param({"lease": 20}, ["w-1"], ["jobs_orphaned"], id="its lease is over"),
        pytest.param({}, [], ["jobs_orphaned"], id="its worker is gone"),
        pytest.param({"worker": None}, [], CALM, id="its worker is not known"),
        pytest.param({"worker": "w-9"}, ["w-1"], ["jobs_orphaned"], id="its worker is not listed"),
    ],
)
def test_an_abandoned_job(situation, make, job, workers, expected):
    for at in (0, 15, 30):
        kinds = situation.look(at, running=(make.running(**job),), workers=tuple(make.worker(id) for id in workers))
    assert kinds == expected


def test_a_job_whose_worker_is_late(situation, make):
    kinds = situation.look(0, running=(make.running("j-7", started=-90),), workers=(make.worker(expected=-5),))
    assert kinds == ["jobs_orphaned", "worker_late"]
    assert situation.verdicts[0].sentence == (
        "1 job is abandoned: j-7 still counts as running, but its worker w-1 is silent. render j-7 began 1 m 30 s ago."
    )
    assert situation.verdicts[0].jobs == ("j-7",)
    assert situation.verdicts[1].sentence == "1 worker is late: w-1 should have said 5 s ago that it lives."


def test_a_job_that_was_read_a_moment_before_its_worker_is_not_abandoned(situation, make):
    assert situation.look(0, running=(make.running(worker="new"),)) == CALM
    assert situation.look(5, running=(make.running(worker="new"),), workers=(make.worker("new"),)) == CALM
    assert situation.look(20, running=(make.running(worker="new"),), workers=(make.worker("new"),)) == CALM


def test_workers_that_cannot_be_known_abandon_nothing(situation, make):
    for at in (0, 20, 40):
        kinds = situation.look(at, running=(make.running(),), knows_workers=False)
    assert kinds == CALM


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        pytest.param({"worker": "w-2"}, ["jobs_duplicated"], id="taken from a worker that lives"),
        pytest.param({"worker": "w-2", "attempt": 2}, CALM, id="another attempt"),
        pytest.param({"worker": "w-1"}, CALM, id="the same worker"),
        pytest.param({"worker": None}, CALM, id="the worker is not known any more"),
        pytest.param({"worker": "w-2", "id": "j-2"}, CALM, id="another job"),
    ],
)
def test_a_job_that_is_taken_from_its_worker(situation, make, then, expected):
    both = (make.worker("w-1"), make.worker("w-2"))
    situation.look(0, running=(make.running(),), workers=both)
    situation.look(5, workers=both)
    assert situation.look(10, running=(make.running(**then),), workers=both) == expected
    assert situation.look(15, running=(make.running(**then),), workers=both) == expected
    assert situation.memory.sources["rq"].duplicated_total == (expected != CALM)


def test_a_job_that_is_taken_from_a_dead_worker_runs_once(situation, make):
    situation.look(0, running=(make.running(),), workers=(make.worker("w-1"),))
    kinds = situation.look(10, running=(make.running(worker="w-2"),), workers=(make.worker("w-2"),))
    assert kinds == CALM


def test_a_job_that_ended_in_between_runs_once(situation, make):
    both = (make.worker("w-1"), make.worker("w-2"))
    situation.look(0, running=(make.running(),), workers=both)
    over = Job("j-1", "render", "high", JobState.FAILED, "failed")
    situation.look(5, finished=(over,), workers=both)
    assert situation.look(10, running=(make.running(worker="w-2"),), workers=both) == CALM


def test_a_job_that_is_listed_twice(situation, make):
    both = (make.worker("w-1"), make.worker("w-2"))
    kinds = situation.look(0, running=(make.running(), make.running(worker="w-2")), workers=both)
    assert kinds == ["jobs_duplicated"]
    assert situation.verdicts[0].sentence == "1 job is running twice: j-1, on w-1 and w-2 at once."
    assert situation.look(1_000, workers=both) == CALM, "after a while it is history"


@pytest.mark.parametrize(
    ("started", "usual", "expected"),
    [
        pytest.param(-3_500, {}, CALM, id="less than an hour, nothing known of its kind"),
        pytest.param(-7_380, {}, ["jobs_stuck"], id="more than an hour"),
        pytest.param(-7_380, {("rq", "render"): 3_000.0}, CALM, id="others take as long"),
        pytest.param(-700, {("rq", "render"): 20.0}, ["jobs_stuck"], id="far longer than others"),
        pytest.param(-500, {("rq", "render"): 2.0}, CALM, id="far longer, but not long"),
    ],
)
def test_a_job_that_does_not_end(situation, make, started, usual, expected):
    situation.facts["usual_run_s"] = usual
    assert situation.look(0, running=(make.running(started=started),), workers=(make.worker(),)) == expected


def test_how_long_a_job_should_have_taken_is_said(situation, make):
    situation.facts["usual_run_s"] = {("rq", "render"): 250.0}
    situation.look(0, running=(make.running("j-17", started=-7_380),), workers=(make.worker(),))
    assert situation.verdicts[0].sentence == (
        "render j-17 has been running for 2 h 3 m on w-1; 99 of 100 render jobs take no more than 4 m 10 s."
    )


# --- failing kinds


def group(now, text="TimeoutError: no answer", first=-600, id="j-9"):
    run = Run("rq", id, "render", "high", Outcome.FAILED, now, worker="w-1")
    return FailureGroup("rq", "ab12", "render", text, 30, now + first * 1000, now, run)


@pytest.mark.parametrize(
    ("kind", "expected", "severity"),
    [
        pytest.param({"ended": 119, "failed": 37}, ["kind_failing"], Severity.MEDIUM, id="a third"),
        pytest.param({"ended": 10, "failed": 6}, ["kind_failing"], Severity.HIGH, id="most"),
        pytest.param({"ended": 100, "failed": 10}, CALM, Severity.CALM, id="one in ten"),
        pytest.param({"ended": 4, "failed": 2}, CALM, Severity.CALM, id="too few to tell"),
        pytest.param({"ended": 1, "failed": 1}, ["kind_failing"], Severity.MEDIUM, id="the only one failed"),
        pytest.param({"ended": 0, "failed": 0}, CALM, Severity.CALM, id="nothing ended"),
        pytest.param(
            {"ended": 10, "failed": 0, "attempts": 20, "failed_attempts": 10},
            ["kind_failing"],
            Severity.LOW,
            id="all succeed in the end, but need retries",
        ),
    ],
)
def test_a_kind_that_fails(situation, now, kind, expected, severity):
    counts = {"attempts": kind["ended"], "failed_attempts": kind["failed"], **kind}
    one = KindNow("rq", "render", window_ms=300_000, causes=(group(now),), **counts)
    assert situation.judge(0, kinds=(one,)) == expected
    assert situation.verdicts[0].severity is severity


@pytest.mark.parametrize(
    ("deploys", "since"),
    [
        pytest.param([("4f2c", -840)], " since the deploy of 4f2c 14 m ago", id="soon after a deploy"),
        pytest.param([("4f2c", -100)], " (first seen 10 m ago)", id="before the deploy"),
        pytest.param([("4f2c", -9_000)], " (first seen 10 m ago)", id="long after the deploy"),
        pytest.param([], " (first seen 10 m ago)", id="no deploy known"),
    ],
)
def test_since_when_a_kind_fails(situation, now, deploys, since):
    kind = KindNow("rq", "render", 119, 37, 119, 37, 300_000, (group(now), group(now, "KeyError: '…'", id="j-10")))
    situation.judge(0, kinds=(kind,), deploys=[Deploy(version, now + at * 1000) for version, at in deploys])
    (verdict,) = situation.verdicts
    assert verdict.sentence == (
        f"render is failing 31 %{since}: 37 of 119 jobs in the last 5 m. Most of it: TimeoutError: no answer "
        "(1 other cause)."
    )
    assert verdict.jobs == ("j-9", "j-10")


# --- schedules


@pytest.mark.parametrize(
    ("last", "next", "at", "expected"),
    [
        pytest.param(None, 100, 150, CALM, id="within the grace"),
        pytest.param(None, 100, 170, ["schedule_missed"], id="its time is over"),
        pytest.param(100, 200, 170, CALM, id="it ran"),
        pytest.param(-100, 200, 170, ["schedule_missed"], id="passed over: next has moved on, last has not"),
        pytest.param(99.5, 200, 170, CALM, id="half a second early"),
        pytest.param(None, 200, 170, CALM, id="moved on, and the back-end does not say when it last ran"),
    ],
)
def test_a_schedule(situation, now, last, next, at, expected):
    def schedule(last, next):
        last_ms = None if last is None else now + int(last * 1000)
        return ScheduleNow("nightly", "report", "low", "0 3 * * *", last_ms, now + next * 1000)

    situation.look(0, schedules=(schedule(-100 if last is not None else None, 100),))
    assert situation.look(at, schedules=(schedule(last, next),)) == expected
    assert situation.memory.sources["rq"].missed_total == (expected != CALM)


def test_a_schedule_whose_scheduler_vanished(situation, now):
    situation.look(0, schedules=(ScheduleNow("nightly", "report", next_ms=now + 100_000),))
    assert situation.look(50) == CALM
    assert situation.look(400) == ["schedule_missed"]
    assert "is no longer listed" in situation.verdicts[0].sentence
    assert re.search(r"missed \d\d:\d\d UTC: it is 5 m late", situation.verdicts[0].sentence)


# --- sources


def test_a_source_out_of_reach(situation, make):
    situation.look(0, queues=(make.queue(waiting=9, oldest=1_000),), workers=(make.worker(),))
    assert situation.look(5, error="cannot connect to redis:6379: refused") == LOOKING, "one failed look is no outage"
    assert situation.look(25, error="cannot connect to redis:6379: refused") == ["source_unreachable"]
    assert situation.verdicts[0].sentence == (
        "The job source rq cannot be read: cannot connect to redis:6379: refused. It last answered 25 s ago."
    )


def test_a_source_that_is_slowed_says_so(situation):
    assert situation.look(
        0, slowed="A look at rq takes 0.2 s, so it is looked at every 20 s instead of every 5 s."
    ) == ["sampling_slowed"]


# --- all together


def test_the_worst_comes_first(situation, make, now):
    kinds = situation.look(
        0,
        queues=(make.queue("low", waiting=1, oldest=5, is_paused=True), make.queue(waiting=4, oldest=90)),
        running=(make.running(lease=-60),),
        workers=(make.worker("w-2", queues=("mail",), expected=-3),),
    )
    assert kinds == ["queue_unserved", "jobs_orphaned", "worker_late", "queue_paused"]
    assert worst(situation.verdicts) is Severity.DOWN


def test_nothing_wrong_is_one_calm_line(situation, make):
    situation.look(
        0, queues=(make.queue(waiting=12, oldest=2), make.queue("low")), workers=(make.worker(),), running=()
    )
    (verdict,) = situation.verdicts
    assert verdict.sentence == "All is well: 2 queues, 1 worker; 12 jobs wait, 0 run."


def test_no_source_is_said_calmly(situation):
    assert situation.judge(0) == CALM
    assert situation.verdicts[0].sentence == "No job source is declared."


@pytest.mark.parametrize(
    ("look", "facts", "awaited"),
    [
        pytest.param({"unseen": True}, {}, "the first look at rq", id="a source that was not read yet"),
        pytest.param({"error": "refused", "unseen": True}, {}, "an answer of rq", id="a source that refuses"),
        pytest.param({}, {"beats": ["poller"]}, "the first beat of poller", id="a declared poller"),
        pytest.param({}, {"workers": 1}, "a worker of high", id="declared workers"),
        pytest.param({"workers": ["w-1"]}, {"workers": 2}, "another worker of high", id="one of two"),
        pytest.param({"waiting": 3}, {}, "a worker of high", id="a queue that nobody serves yet"),
        pytest.param(
            {"unseen": True},
            {"beats": ["poller"], "workers": 1},
            "the first look at rq; the first beat of poller",
            id="several",
        ),
        pytest.param({"workers": ["w-1"]}, {"workers": 1}, "", id="nothing"),
    ],
)
def test_before_everybody_had_their_time_nobody_says_that_all_is_well(situation, make, look, facts, awaited):
    workers, beats = facts.get("workers"), facts.get("beats", ())
    situation.facts["expected_workers"] = (ExpectedWorkers("high", workers),) if workers else ()
    situation.facts["expected_beats"] = tuple(ExpectedBeat(name, 1_000) for name in beats)
    waiting = look.pop("waiting", 0)
    listed = {"workers": tuple(make.worker(id) for id in look.pop("workers", ()))}
    kinds = situation.look(5, queues=(make.queue(waiting=waiting, oldest=1 if waiting else None),), **listed, **look)

    assert kinds == (LOOKING if awaited else CALM)
    assert situation.verdicts[0].sentence.startswith(f"Looking… Awaited: {awaited}." if awaited else "All is well")


@pytest.mark.parametrize("workers", [0, 1])
def test_there_is_no_moment_between_looking_and_the_verdict(situation, make, workers):
    situation.facts["expected_workers"] = (ExpectedWorkers("high", 2),)
    said = [situation.look(at, workers=tuple(make.worker(f"w-{n}") for n in range(workers))) for at in range(0, 90, 2)]

    assert next(kinds for kinds in said if kinds != LOOKING) == ["expected_missing"]
    assert CALM not in said


def test_a_verdict_says_since_when(situation, make, now):
    for at in (0, 40, 80):
        situation.look(at, queues=(make.queue(waiting=1, oldest=1 + at, at=at),))
    (verdict,) = situation.verdicts
    assert verdict.since_ms == now
    assert verdict.key == "unserved/rq/high"


def test_what_was_open_stays_open_over_a_restart(situation, make, now):
    for at in (0, 40):
        situation.look(at, queues=(make.queue(waiting=1, oldest=1 + at, at=at),))
    assert situation.look(45, unseen=True) == LOOKING
    situation.look(50, queues=(make.queue(waiting=1, oldest=51, at=50),))
    assert [verdict.since_ms for verdict in situation.verdicts] == [now]


def test_memory_is_bounded(situation, make):
    for at in range(0, 800, 10):
        jobs = tuple(make.running(f"{at}-{n}", worker=f"w-{at}-{n}") for n in range(50))
        situation.look(
            at,
            queues=tuple(make.queue(f"q{n}", waiting=1, oldest=1, at=at) for n in range(20)),
            workers=tuple(make.worker(f"w-{at}-{n}") for n in range(50)),
            running=jobs,
        )
    memory = situation.memory.sources["rq"]
    assert len(memory.workers) <= 1_000
    assert len(memory.running) <= 2_000
    assert max(len(points) for points in memory.depths.values()) <= 61


def test_a_clock_that_is_set_back_does_no_harm(situation, make):
    situation.look(1_000, queues=(make.queue(waiting=1, oldest=3, at=1_000),), workers=(make.worker(),))
    assert situation.look(0, queues=(make.queue(waiting=1, oldest=3),), workers=(make.worker(),)) == CALM


def test_verdicts_are_values(situation, make):
    situation.look(0, queues=(make.queue(waiting=212, oldest=372),))
    (verdict,) = situation.verdicts
    assert replace(verdict) == verdict
