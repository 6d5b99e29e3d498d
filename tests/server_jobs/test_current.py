"""The jobs of a server as metrics of its own, and no more often than they are worth."""

import asyncio
from pathlib import Path

import pytest

from trackside.exceptions import QueryError
from trackside.model.jobs import JobReport
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.current import CurrentJobs


class Unanswering:
    async def query(self, expr, time_ms, timeout_ms=None):
        raise QueryError("too slow")


@pytest.fixture
def jobs(db, clock):
    return CurrentJobs(db, clock, Unanswering())


def tick(jobs, clock):
    with pytest.raises(QueryError):
        asyncio.run(jobs.tick(clock.now_ms()))
    return {family.name for family in jobs.families()}


def test_a_server_without_jobs_has_no_families_of_them(jobs, clock):
    assert tick(jobs, clock) == set()


def test_a_report_of_a_hook_is_enough(jobs, clock):
    jobs.watch.ledger.take([JobReport("shop", "1", "render")], clock.now_ms())

    assert "trackside_jobs_finished_total" in tick(jobs, clock)


def test_a_section_is_enough(jobs, clock):
    asyncio.run(jobs.apply(JobsConfig(), Path()))

    assert "trackside_queue_oldest_limit_seconds" in tick(jobs, clock)


def test_families_that_take_long_are_made_less_often(jobs, clock):
    made = []

    def slow(now_ms):
        made.append(now_ms)
        clock.tick(0.25)
        return []

    jobs._collected = slow
    for _ in range(10):
        tick(jobs, clock)
        clock.tick(5)

    # A quarter of a second each 12.5 seconds is a fiftieth.
    assert len(made) == 4
