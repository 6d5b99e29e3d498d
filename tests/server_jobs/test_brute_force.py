"""Counts and percentiles of the ledger against a list of all that happened."""

from dataclasses import dataclass
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.sketch import RELATIVE_ERROR
from trackside.model.jobs import Job, JobReport, JobsSample, JobState
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.jobs.runs.store import RunFilter

AT = 1_800_000_000_000
SPAN_S = 7_000
STATES = {
    JobState.SUCCEEDED: Outcome.SUCCEEDED,
    JobState.FAILED: Outcome.FAILED,
    JobState.RETRYING: Outcome.RETRIED,
    JobState.CANCELLED: Outcome.CANCELLED,
}


@dataclass(frozen=True)
class Happened:
    ended_s: int
    run_ms: int
    wait_ms: int
    state: JobState
    queue: str
    kind: str
    by: str
    """"sample", "hook" or "both"."""
    again: bool
    """Told a second time."""


happened = st.lists(
    st.builds(
        Happened,
        st.integers(0, SPAN_S),
        st.integers(2, 4_000_000),
        st.integers(2, 4_000_000),
        st.sampled_from(sorted(STATES, key=lambda state: state.value)),
        st.sampled_from(["high", "low"]),
        st.sampled_from(["render", "mail", "report"]),
        st.sampled_from(["sample", "hook", "both"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def job(number, one):
    end = AT + one.ended_s * 1000
    start = end - one.run_ms
    return Job(
        f"j{number}",
        one.kind,
        one.queue,
        one.state,
        one.state.value,
        enqueued_ms=start - one.wait_ms,
        started_ms=start,
        finished_ms=end,
        attempt=1,
    )


def report(number, one):
    seen = job(number, one)
    return JobReport(
        "rq",
        seen.id,
        seen.kind,
        seen.queue,
        1,
        STATES[one.state].value,
        seen.enqueued_ms,
        None,
        seen.started_ms,
        seen.finished_ms,
    )


def tell(ledger, history):
    """In samples of five minutes, hooks at once, some things twice."""
    numbered = list(enumerate(history))
    for end_s in range(300, SPAN_S + 600, 300):
        now = [(number, one) for number, one in numbered if end_s - 300 <= one.ended_s < end_s]
        ledger.take([report(*both) for both in now if both[1].by != "sample"], AT + end_s * 1000)
        late = [(number, one) for number, one in numbered if one.again and end_s - 600 <= one.ended_s < end_s - 300]
        finished = tuple(job(*both) for both in [*late, *now] if both[1].by != "hook")
        sample = JobsSample(AT + end_s * 1000, finished=finished, cursor=end_s)
        since = ledger.position("rq")
        assert ledger.take_sample("rq", sample, since)
        assert not ledger.take_sample("rq", sample, since)
        ledger.take([report(*both) for both in late if both[1].by != "sample"], AT + end_s * 1000)


def expect_near(measured, values):
    for share, value in measured.items():
        true = sorted(values)[max(1, ceil(share * len(values))) - 1]
        assert abs(value - true) <= true * RELATIVE_ERROR * (1 + 1e-9)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened, st.integers(0, SPAN_S // 60), st.sampled_from([None, "high"]), st.sampled_from([None, "render"]))
def test_a_random_history(tmp_path_factory, history, from_minute, queue, kind):
    db = Database(tmp_path_factory.mktemp("history") / "jobs.db")
    ledger = JobsLedger(db)
    tell(ledger, history)
    start = AT - AT % 60_000 + from_minute * 60_000
    now = AT + SPAN_S * 1000

    wanted = [
        one
        for one in history
        if start <= AT + one.ended_s * 1000 and (queue in (None, one.queue)) and kind in (None, one.kind)
    ]
    stats = ledger.stats_between(Range(start, now + 1), now, JobFilter("rq", queue, kind))
    counts = {outcome: sum(STATES[one.state] is outcome for one in wanted) for outcome in STATES.values()}
    assert dict(stats.counts) == {outcome: count for outcome, count in counts.items() if count}
    if wanted:
        assert stats.mean_run_s == pytest.approx(sum(one.run_ms for one in wanted) / len(wanted) / 1000)
        expect_near(stats.run_s, [one.run_ms / 1000 for one in wanted])
        expect_near(stats.wait_s, [one.wait_ms / 1000 for one in wanted])
    assert len(ledger.recent(RunFilter(), limit=100).runs) == len(history)
    assert sum(cell.count for _, cell in ledger.totals()) == len(history)
    db.close()
