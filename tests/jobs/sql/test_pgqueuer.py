"""pgqueuer: tables that the real library has made and filled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trackside.jobs.sql.libraries import library_map
from trackside.model.jobs import JobQuery, JobState


@pytest.fixture
def run(postgres, library):
    command = [sys.executable, Path(__file__).with_name("fill_pgqueuer.py"), postgres.url]
    environment = {**os.environ, "PYTHONPATH": str(library("pgqueuer"))}

    def started(*what):
        return subprocess.Popen([*command, *what], env=environment, stdout=subprocess.PIPE, start_new_session=True)

    return started


@pytest.fixture
def source(run, postgres, open_source):
    assert run("install").wait(60) == 0
    return open_source(postgres.url, library_map("pgqueuer"))


def counts(sample):
    return {
        queue.name: {state.value: count for state, count in queue.counts.items() if count} for queue in sample.queues
    }


def test_what_the_real_library_leaves(source, run, postgres, open_source):
    cursor = source.sample().cursor
    began_s = time.monotonic()
    assert run("fill").wait(60) == 0
    passed_s = time.monotonic() - began_s

    sample = source.sample(cursor)

    assert counts(sample) == {"send": {"queued": 1, "scheduled": 1}}
    ends = [(job.kind, job.state, job.error) for job in sample.finished]
    assert ends == [
        ("send", JobState.SUCCEEDED, None),
        ("send", JobState.SUCCEEDED, None),
        ("fail", JobState.FAILED, "ValueError: no: redis://:[Filtered]@cache"),
    ]
    # Ends are written in batches, a second late.
    assert all(job.run_s >= 0 and job.wait_s >= 0 for job in sample.finished)
    assert all(job.run_s + job.wait_s <= passed_s for job in sample.finished)
    assert [(one.name, one.rule) for one in sample.schedules] == [("tick", "* * * * *")]
    assert source.sample(sample.cursor).finished == ()

    (failed,) = source.find(JobQuery(states=frozenset({JobState.FAILED}))).jobs
    (attempt,) = source.get(failed.id).attempts
    assert attempt.outcome == "failed"
    assert attempt.traceback.startswith("Traceback (most recent call last):")
    assert "hunter2" not in attempt.traceback and "in fail" in attempt.traceback
    (waiting,) = source.find(JobQuery(states=frozenset({JobState.QUEUED}))).jobs
    assert source.get(waiting.id).kwargs == {"to": 1, "password": "[redacted]"}

    reader = open_source(postgres.reader_url(source.table), library_map("pgqueuer"))
    before = postgres.digest()
    reader.sample(reader.sample(cursor).cursor)
    assert not reader.find(JobQuery(text="s3cret")).jobs
    reader.get(failed.id)
    assert postgres.digest() == before


def test_a_job_that_was_left_by_its_killed_worker_is_past_its_lease(source, run, postgres):
    worker = run("stuck")
    assert worker.stdout.readline() == b"runs\n"
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    (running,) = source.sample().running
    assert running.lease_until_ms > running.started_ms and running.worker

    postgres.run("UPDATE pgqueuer SET heartbeat = now() - interval '1 hour'")

    sample = source.sample()
    assert sample.running[0].lease_until_ms < sample.at_ms
    assert [worker.id for worker in sample.workers] == [running.worker]
