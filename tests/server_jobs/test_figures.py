"""What rules compare jobs with."""

import pytest

from trackside.jobs.verdicts.facts import ExpectedBeat, ExpectedWorkers
from trackside.model.jobs import JobReport
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.figures import WEEK_MS, history_families, limit_families, missing_families
from trackside.server.jobs.watch import Elsewhere, Expectations, JobsWatch

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def values(families):
    return {
        (family.name, *(value for _, value in sample.labels)): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def tell(ledger, at):
    def told(count, ago_ms, run_s=2.0, failed=0, kind="render", cost_usd=None):
        ended_ms = at - ago_ms
        reports = [
            JobReport(
                "q",
                f"{kind}-{ago_ms}-{number}",
                kind,
                outcome="failed" if number < failed else "succeeded",
                finished_ms=ended_ms,
                run_s=run_s,
                cost_usd=cost_usd,
            )
            for number in range(count)
        ]
        assert ledger.take(reports, ended_ms) == count

    return told


def test_limits_are_those_of_the_configuration():
    config = JobsConfig.model_validate({"oldest": "2m", "budget_usd_per_day": 20})

    assert values(limit_families(config)) == {
        ("trackside_queue_oldest_limit_seconds",): 120,
        ("trackside_job_budget_usd",): 20,
    }
    assert ("trackside_job_budget_usd",) not in values(limit_families(JobsConfig()))


def test_what_is_declared_is_0_until_it_is_missing(ports, clock):
    expectations = Expectations((ExpectedWorkers("high", 1, "q"),), (ExpectedBeat("poller", 1_000),))
    beats = {"mailer": clock.now_ms()}
    told = Elsewhere(lambda: beats, expected_beats=lambda: (ExpectedBeat("mailer", 5_000), ExpectedBeat("poller", 9)))
    watch = JobsWatch({}, ports(), expectations, told)
    assert values(missing_families(watch, watch.verdicts())) == {
        ("trackside_beat_overdue", "mailer"): 0,
        ("trackside_beat_overdue", "poller"): 0,
        ("trackside_workers_missing", "high", "q"): 0,
    }

    clock.tick(31)
    beats["mailer"] = clock.now_ms()

    now = values(missing_families(watch, watch.verdicts()))
    assert now[("trackside_beat_overdue", "poller")] == 1
    assert now[("trackside_beat_overdue", "mailer")] == 0


def test_the_share_that_failed_is_of_kinds_of_which_enough_ended_lately(ledger, at, tell):
    tell(10, 60_000, failed=3)
    tell(4, 60_000, failed=4, kind="few")
    tell(10, HOUR_MS, failed=10, kind="earlier")

    found = values(history_families(ledger, at))

    assert {key[1:]: value for key, value in found.items() if key[0] == "trackside_job_failure_ratio"} == {
        ("render", "q"): 0.3
    }


def test_the_last_hour_is_compared_with_the_same_hour_a_week_ago(ledger, at, tell):
    tell(20, WEEK_MS + 60_000, run_s=2.0)
    tell(20, 2 * DAY_MS, run_s=100.0)
    tell(20, 60_000, run_s=8.0)
    tell(5, 60_000, kind="few")

    found = values(history_families(ledger, at))

    slow = {key[1:]: value for key, value in found.items() if key[0] == "trackside_job_run_p95_seconds"}
    assert slow.keys() == {("last", "render", "q"), ("week_ago", "render", "q")}
    assert slow[("last", "render", "q")] == pytest.approx(8, rel=0.1)
    assert slow[("week_ago", "render", "q")] == pytest.approx(2, rel=0.1)


def test_the_cost_of_today_begins_at_midnight(ledger, at, tell):
    since_midnight_ms = at % DAY_MS
    tell(3, since_midnight_ms // 2, cost_usd=1.5)
    tell(3, since_midnight_ms + 60_000, cost_usd=100.0, kind="yesterday")

    assert values(history_families(ledger, at))[("trackside_job_cost_usd_today",)] == 4.5
