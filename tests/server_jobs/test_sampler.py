"""A source is looked at by one process, seldom enough, and whatever it does."""

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.ledger.runs import Outcome
from trackside.model.jobs import JobState, QueueNow, WorkerNow
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Sampler


def steps(sampler, clock, count):
    for _ in range(count):
        wait_s = sampler.step()
        clock.tick(wait_s)
    return wait_s


def test_a_look_begins_where_the_last_one_ended_and_is_counted(source, ports, clock, ended, at, ledger):
    sampler = Sampler("rq", source, ports())
    source.says = {"finished": (ended("a", 0),)}
    assert sampler.step() == 5.0
    clock.tick(5)
    sampler.step()

    assert source.cursors == [None, [1]]
    assert ledger.stats(1, clock.ms).counts == {Outcome.SUCCEEDED: 1}
    assert sampler.seen.view.sample.at_ms == clock.ms
    assert sampler.seen.is_leader


def test_after_a_restart_the_cursor_goes_on(source, ports, clock):
    steps(Sampler("rq", source, ports()), clock, 2)
    Sampler("rq", source, ports()).step()

    assert source.cursors == [None, [1], [2]]


def test_a_second_process_sees_what_the_first_one_saw_and_does_not_look(source, ports, clock, make_source):
    source.says = {
        "queues": (QueueNow("high", {JobState.QUEUED: 3, JobState.RUNNING: 1}, clock.ms, is_paused=True),),
        "workers": (WorkerNow("w-1", ("high", "low"), "idle", clock.ms, skew_s=0.5),),
        "notes": ("It cannot know all.",),
    }
    idle = make_source()
    first, second = Sampler("rq", source, ports("one")), Sampler("rq", idle, ports("two"))
    first.step()
    second.step()

    assert idle.cursors == []
    assert not second.seen.is_leader
    seen, shown = first.seen.view.sample, second.seen.view.sample
    assert (shown.queues, shown.workers, shown.notes, shown.at_ms) == (
        seen.queues,
        seen.workers,
        seen.notes,
        seen.at_ms,
    )


@pytest.mark.parametrize("is_closed", [True, False], ids=["stopped", "killed"])
def test_a_second_process_takes_over(source, ports, clock, make_source, is_closed):
    other = make_source()
    first, second = Sampler("rq", source, ports("one")), Sampler("rq", other, ports("two"))
    first.step()
    second.step()
    if is_closed:
        first.close()
        assert source.is_closed
    else:
        clock.tick(31)
    second.step()

    assert other.cursors == [[1]], "from where the first one left off"
    assert second.seen.is_leader


def test_the_lock_is_no_prison_when_the_clock_was_set_back(source, ports, clock):
    Sampler("rq", source, ports("one")).step()
    clock.tick(-86_400)
    second = Sampler("rq", source, ports("two"))
    second.step()

    assert second.seen.is_leader


def test_a_look_costs_at_most_one_per_cent_of_the_time(source, ports, clock):
    source.takes_s = 0.2
    sampler = Sampler("rq", source, ports())
    steps(sampler, clock, 10)

    assert sampler.seen.interval_s == pytest.approx(20.0)
    slowed = sampler.seen.view.slowed.replace("\u202f", " ")
    assert slowed == "A look at rq takes 0.2 s, so it is looked at every 20 s instead of every 5 s."
    source.takes_s = 0.001
    steps(sampler, clock, 30)
    assert sampler.seen.interval_s == 5.0
    assert sampler.seen.view.slowed == ""


def test_the_first_look_which_connects_and_one_slow_one_do_not_slow_it(source, ports, clock):
    sampler = Sampler("rq", source, ports())
    source.takes_s = 3.0
    assert sampler.step() == 5.0
    source.takes_s = 0.004
    assert steps(sampler, clock, 3) == 5.0
    source.takes_s = 0.1
    assert sampler.step() < 5.0 * 1.5


def test_it_never_sleeps_for_longer_than_it_may(source, ports, clock):
    source.takes_s = 60.0
    assert steps(Sampler("rq", source, ports(), Pace(longest_s=120)), clock, 3) == 120


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(SourceError("redis:6379 refuses"), "redis:6379 refuses", id="out of reach"),
        pytest.param(SourceError(""), "no reason given", id="without a word"),
        pytest.param(KeyError("due"), "KeyError: 'due'", id="a bug"),
    ],
)
def test_a_source_that_fails_is_asked_again(source, ports, clock, error, text):
    sampler = Sampler("rq", source, ports())
    sampler.step()
    before = sampler.seen.view.sample
    source.error = error
    assert sampler.step() == 5.0
    assert sampler.seen.view.error == text
    assert sampler.seen.view.sample is before, "what was seen last is still known"

    source.error = None
    sampler.step()
    assert sampler.seen.view.error == ""


def test_a_sample_that_another_process_took_is_not_counted_twice(source, ports, clock, ended, at, db):
    """The lease ran out during a look: both look from the same cursor."""
    other = JobsLedger(db)
    source.says = {"finished": (ended("a", 0),)}
    sampler = Sampler("rq", source, ports())
    since = other.position("rq")
    sampler.step()
    assert not other.take_sample("rq", sampler.seen.view.sample, since)
    assert other.stats(1, clock.ms).counts == {Outcome.SUCCEEDED: 1}


def test_a_source_that_is_looked_at_seldom_stays_with_its_process(source, ports, clock, make_source):
    source.takes_s = 1.0
    first, second = Sampler("rq", source, ports("one")), Sampler("rq", make_source(), ports("two"))
    steps(first, clock, 3)
    first.step()
    assert first.seen.interval_s == pytest.approx(100.0)
    clock.tick(99)
    second.step()

    assert not second.seen.is_leader
