import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.actor import UNCLEAR, Verb
from trackside.jobs.search import parse_search
from trackside.model.jobs import JobQuery, JobState
from trackside.server.jobs.actions import store
from trackside.server.jobs.actions.actions import SILENT_MS
from trackside.server.jobs.actions.plan import LIFETIME_MS, MAX_JOBS, Person, filter_text
from trackside.server.jobs.actions.refusal import ActionError, Kind
from trackside.server.jobs.actions.store import KEPT_MS, New, Target, Wanted

ANN, BEN = Person("1:ann", "ann"), Person("2:ben", "ben")
ALL_FAILED = JobQuery(frozenset((JobState.FAILED,)))


def until(true):
    by = time.monotonic() + 60
    while not true():
        assert time.monotonic() < by
        time.sleep(0.005)


class TestPlan:
    def test_says_what_would_be_done_and_does_nothing(self, desk):
        desk.queue.add(3)
        desk.queue.add(2, JobState.RUNNING, "busy")

        plan = desk.plan(ids=["job-0", "job-1", "busy-0", "none"])

        assert (plan.matched, plan.will_change, plan.to_change) == (4, 2, ("job-0", "job-1"))
        assert plan.sentence == (
            "2 jobs of rq will be retried. 2 jobs will be left alone: 1 running, 1 gone. It gets one attempt."
        )
        assert desk.queue.batches == []
        assert desk.actions.audit() == []

    def test_without_states_a_filter_means_those_that_can_be_changed(self, desk):
        desk.queue.add(3)
        desk.queue.add(5, JobState.SUCCEEDED, "good")

        plan = desk.plan(query=JobQuery(queue="high"))

        assert (plan.matched, plan.will_change, plan.filter) == (3, 3, "queue:high")

    @pytest.mark.parametrize("name", ["high", "two words", 'a "quote"', "back\\slash", ">1", "a:b"])
    def test_a_filter_is_said_so_that_the_search_box_reads_it_back(self, name):
        query = JobQuery(frozenset((JobState.FAILED,)), name, name, name, name)

        assert parse_search(filter_text(query)).query == query

    def test_more_than_one_action_may_change_is_said(self, desk):
        desk.queue.add(MAX_JOBS + 1)

        plan = desk.plan(query=ALL_FAILED)

        assert plan.matched == MAX_JOBS
        assert "More match than one action may change: the newest 1,000 are taken; repeat it for the rest." in (
            plan.sentence
        )

    def test_exactly_as_many_as_it_may_change_are_all(self, desk):
        desk.queue.add(MAX_JOBS)

        plan = desk.plan(query=ALL_FAILED)

        assert plan.matched == MAX_JOBS
        assert "More match" not in plan.sentence

    def test_nothing_matches(self, desk):
        assert desk.plan(query=ALL_FAILED).sentence.startswith("No job of rq matches.")

    def test_queues_are_named_not_looked_for(self, desk):
        plan = desk.plan(Verb.PAUSE, ids=["high"])

        assert plan.sentence == "The queue high will be paused in rq. This concerns every queue."
        assert plan.will_change == 1

    @pytest.mark.parametrize(
        ("asked", "kind", "reason"),
        [
            pytest.param({"source": "none", "ids": ["a"]}, Kind.UNKNOWN, "no source is named 'none'", id="no source"),
            pytest.param({"source": "looked-at", "ids": ["a"]}, Kind.FORBIDDEN, "act_url", id="read-only"),
            pytest.param({"verb": Verb.DELETE, "ids": ["a"]}, Kind.WRONG, "retry, pause", id="a verb it has not"),
            pytest.param({}, Kind.WRONG, "either their ids, or a filter", id="no jobs"),
            pytest.param({"query": JobQuery()}, Kind.WRONG, "a filter that not every job matches", id="all jobs"),
            pytest.param({"ids": ["a"], "query": ALL_FAILED}, Kind.WRONG, "either their ids", id="both"),
            pytest.param({"ids": ["a" * 501]}, Kind.WRONG, "1 to 500", id="an id that is none"),
            pytest.param({"ids": [""]}, Kind.WRONG, "1 to 500", id="an empty id"),
            pytest.param({"ids": map(str, range(1_001))}, Kind.WRONG, "at most 1,000", id="too many ids"),
            pytest.param({"verb": Verb.PAUSE}, Kind.WRONG, "which queue", id="no queue"),
        ],
    )
    def test_what_cannot_be_done_is_refused_in_a_sentence(self, desk, asked, kind, reason):
        with pytest.raises(ActionError, match=reason) as error:
            desk.plan(**asked)
        assert error.value.kind is kind

    def test_a_back_end_that_does_not_answer(self, desk):
        desk.queue.find_error = SourceError("Redis is away")

        with pytest.raises(ActionError, match="Redis is away") as error:
            desk.plan(query=ALL_FAILED)
        assert error.value.kind is Kind.UNREACHABLE


class TestToken:
    def test_is_good_once(self, desk):
        desk.queue.add(1)
        token = desk.plan(ids=["job-0"]).token
        desk.over(desk.actions.confirm(ANN, token))

        with pytest.raises(ActionError, match="carried out already"):
            desk.actions.confirm(ANN, token)
        assert len(desk.queue.batches) == 1

    def test_is_good_for_five_minutes(self, desk):
        desk.queue.add(1)
        token = desk.plan(ids=["job-0"]).token
        desk.clock.time_ms += LIFETIME_MS

        with pytest.raises(ActionError, match="older than 5 minutes"):
            desk.actions.confirm(ANN, token)
        assert desk.queue.batches == []

    def test_belongs_to_one_person_and_survives_another_ones_try(self, desk):
        desk.queue.add(1)
        token = desk.plan(ids=["job-0"]).token

        with pytest.raises(ActionError, match="somebody else") as error:
            desk.actions.confirm(BEN, token)
        assert error.value.kind is Kind.FORBIDDEN
        assert desk.over(desk.actions.confirm(ANN, token)).state == "done"

    def test_of_two_people_with_one_name_it_is_not_the_same(self, desk):
        desk.queue.add(1)
        token = desk.plan(ids=["job-0"]).token

        with pytest.raises(ActionError, match="somebody else"):
            desk.actions.confirm(Person("3:ann", "ann"), token)

    def test_stands_for_the_jobs_of_that_moment(self, desk):
        desk.queue.add(2)
        token = desk.plan(query=ALL_FAILED).token
        desk.queue.add(3, begin="later")

        desk.over(desk.actions.confirm(ANN, token))

        assert desk.queue.batches == [("job-0", "job-1")]

    def test_many_plans_of_one_person_push_out_their_own_oldest_only(self, desk):
        desk.queue.add(1)
        first, other = desk.plan(ids=["job-0"]), desk.plan(ids=["job-0"], person=BEN)
        for _ in range(25):
            last = desk.plan(ids=["job-0"])

        with pytest.raises(ActionError):
            desk.actions.planned(ANN, first.token)
        assert desk.actions.planned(ANN, last.token) and desk.actions.planned(BEN, other.token)


class TestAction:
    def test_goes_on_in_batches_and_tells_what_became_of_each(self, desk):
        desk.queue.add(250)
        token = desk.plan(query=ALL_FAILED).token
        desk.queue.states["job-7"] = JobState.RUNNING

        told = desk.over(desk.actions.confirm(ANN, token))

        assert [len(batch) for batch in desk.queue.batches] == [100, 100, 50]
        assert (told.state, told.action.done, told.action.left_alone, told.action.begun) == ("done", 249, 1, 0)
        assert told.targets[0].job == "job-7" and told.targets[0].outcome == "it is running now"

    def test_what_the_plan_had_left_out_is_in_the_audit_with_its_reason(self, desk):
        desk.queue.add(1)
        desk.queue.add(1, JobState.RUNNING, "busy")

        told = desk.over(desk.confirmed(ids=["job-0", "busy-0"]))

        assert {one.job: one.outcome for one in told.targets} == {
            "job-0": "",
            "busy-0": "it is running, and cannot be retried",
        }
        assert desk.queue.batches == [("job-0",)]

    def test_is_stopped_between_two_batches(self, slow_desk):
        desk = slow_desk
        desk.queue.add(300)
        id = desk.confirmed(query=ALL_FAILED)
        until(lambda: desk.actions.action(id).action.done == 100)

        assert desk.actions.stop(BEN, id)

        told = desk.over(id)
        assert (told.state, told.action.stopped_by, told.action.done, told.action.untouched) == (
            "stopped",
            "ben",
            100,
            200,
        )
        assert not desk.actions.stop(BEN, id)

    def test_a_server_that_ends_says_that_it_stopped_it(self, slow_desk):
        slow_desk.queue.add(300)
        id = slow_desk.confirmed(query=ALL_FAILED)
        until(lambda: slow_desk.actions.action(id).action.done == 100)

        slow_desk.actions.close()

        told = slow_desk.actions.action(id)
        assert (told.state, told.action.stopped_by) == ("stopped", "the server, which was stopped")

    def test_a_back_end_that_cannot_be_reached_ends_it_with_nothing_done(self, desk):
        desk.queue.add(150)
        desk.queue.error = SourceError("Redis is away")

        told = desk.over(desk.confirmed(query=ALL_FAILED))

        assert (told.state, told.action.reason) == ("failed", "Redis is away")
        assert (told.action.done, told.action.begun, told.action.untouched) == (0, 0, 150)

    def test_a_back_end_lost_in_the_middle_leaves_one_job_unclear(self, desk):
        desk.queue.add(150)
        desk.queue.lost_after = 120

        told = desk.over(desk.confirmed(query=ALL_FAILED))

        assert told.state == "failed"
        assert (told.action.done, told.action.left_alone, told.action.untouched) == (120, 1, 29)
        assert told.targets[0].outcome == f"{UNCLEAR}: the queue is gone"

    def test_a_bug_leaves_its_batch_unclear_and_the_rest_untouched(self, desk):
        desk.queue.add(150)
        desk.queue.error = RuntimeError("a bug")

        told = desk.over(desk.confirmed(query=ALL_FAILED))

        assert (told.state, told.action.reason) == ("failed", "RuntimeError: a bug")
        assert (told.action.left_alone, told.action.untouched) == (100, 50)

    def test_two_on_one_source_take_turns(self, desk, gate):
        desk.queue.add(2)
        desk.queue.before = lambda batch: gate.wait(100)
        first = desk.confirmed(ids=["job-0"])
        until(lambda: desk.queue.batches)
        second = desk.confirmed(ids=["job-1"])

        assert [desk.actions.action(id).state for id in (first, second)] == ["running", "waiting"]
        gate.set()
        assert [desk.over(id).state for id in (first, second)] == ["done", "done"]

    def test_too_many_at_once_are_refused_and_the_plan_stays_good(self, desk, gate):
        desk.queue.add(9)
        desk.queue.before = lambda batch: gate.wait(100)
        ids = [desk.confirmed(ids=[f"job-{at}"]) for at in range(8)]
        token = desk.plan(ids=["job-8"]).token

        with pytest.raises(ActionError, match="too much") as error:
            desk.actions.confirm(ANN, token)
        assert error.value.kind is Kind.BUSY
        gate.set()
        for id in ids:
            desk.over(id)
        until(lambda: not desk.actions._running)
        assert desk.over(desk.actions.confirm(ANN, token)).state == "done"


class TestAudit:
    def test_a_process_that_vanished_between_two_steps_leaves_the_truth(self, desk):
        """As a killed process leaves it: 100 were settled, 100 were begun, 100 were not."""
        targets = [Target(f"job-{at}") for at in range(300)]
        names = [one.job for one in targets]
        new = New(desk.clock.now_ms(), "ann", "retry", "rq", "state:failed", "a process that is gone")
        id = desk.db.write(lambda connection: store.insert(connection, new, targets)).result()
        for first in (0, 100):
            jobs = names[first : first + 100]
            desk.db.write(lambda connection: store.beat(connection, id, "running", desk.clock.now_ms())).result()
            desk.db.write(lambda connection, jobs=jobs: store.begin(connection, id, jobs, 1)).result()
            if not first:
                done = dict.fromkeys(jobs, "")
                desk.db.write(
                    lambda connection, done=done: store.settle(connection, id, done, (), desk.clock.now_ms())
                ).result()

        heard = desk.actions.action(id)
        desk.clock.time_ms += SILENT_MS
        silent = desk.actions.action(id)

        assert (heard.state, silent.state) == ("running", "interrupted")
        action = silent.action
        assert (action.done, action.begun, action.untouched) == (100, 100, 100)
        assert {one.job for one in silent.targets[:100]} == set(names[100:200])

    def test_what_is_begun_is_written_down_before_it_is_done(self, desk, tmp_path):
        desk.queue.add(150)
        seen = []

        def look(batch):
            with sqlite3.connect(desk.path) as connection:
                rows = connection.execute(
                    "SELECT count(begun_ms), count(outcome) FROM job_action_target WHERE begun_ms IS NOT NULL"
                )
                seen.append(rows.fetchone())

        desk.queue.before = look
        desk.over(desk.confirmed(query=ALL_FAILED))

        assert seen == [(100, 0), (150, 100)]

    def test_is_found_by_job_source_and_person(self, desk):
        desk.queue.add(3)
        first = desk.confirmed(ids=["job-0", "job-1"])
        desk.over(first)
        second = desk.confirmed(ids=["job-1"])
        desk.over(second)

        assert [one.action.id for one in desk.actions.audit()] == [second, first]
        assert [one.action.id for one in desk.actions.audit(before=second)] == [first]
        assert [one.action.id for one in desk.actions.audit(Wanted(job="job-0"))] == [first]
        assert desk.actions.audit(Wanted(who="ben")) == desk.actions.audit(Wanted(source="other")) == []
        of_job = desk.actions.of_job("rq", "job-1")
        assert [(one.action.id, one.targets[0].outcome) for one in of_job] == [
            (second, "it is queued, and cannot be retried"),
            (first, ""),
        ]
        assert desk.actions.of_job("other", "job-1") == []

    def test_survives_a_restart_and_is_forgotten_after_its_time(self, desk):
        desk.queue.add(2)
        id = desk.confirmed(ids=["job-0"])
        desk.over(id)
        again = desk.opened()

        assert again.action(id).state == "done"
        desk.clock.time_ms += KEPT_MS + 1
        later = desk.confirmed(ids=["job-1"])
        desk.over(later)
        assert again.action(id) is None
        assert [one.action.id for one in again.audit()] == [later]


def test_a_killed_process_leaves_an_audit_that_says_what_it_did_and_what_it_did_not(desk):
    """The real thing: killed in the pause between two batches, and the queue tells the same as the audit."""
    code = textwrap.dedent(f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("desks", {str(Path(__file__).with_name("conftest.py"))!r})
        desks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(desks)
        desk = desks.Desk(sys.argv[1], pause_s=60.0)
        desk.queue.add(300)
        def tell(ids):
            for id in ids: print(id, flush=True)
        desk.queue.before = tell
        id = desk.confirmed(ids=list(desk.queue.states))
        desk.actions._running[id][0].join()
    """)
    process = subprocess.Popen([sys.executable, "-c", code, str(desk.path)], stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: (told := desk.actions.action(1)) is not None and told.action.done == 100)
    finally:
        process.send_signal(signal.SIGKILL)
        told_by_the_queue, _ = process.communicate(timeout=60)

    desk.clock.time_ms += SILENT_MS
    told = desk.actions.action(1)

    assert told.state == "interrupted"
    assert (told.action.done, told.action.begun, told.action.untouched) == (100, 0, 200)
    assert {one.job for one in told.targets if one.outcome == ""} == set(told_by_the_queue.split())
