"""Actions on procrastinate: by its functions, and then its own worker."""

import os
import subprocess
import sys
import time

import pytest

from trackside.jobs.acting.sql.actor import SqlActor
from trackside.jobs.acting.sql.procrastinate import procrastinate
from trackside.jobs.acting.sql.writing import Database
from trackside.jobs.actor import GONE, Verb
from trackside.jobs.sql.libraries import library_map
from trackside.model.jobs import JobQuery, JobState

APPLICATION = """
import asyncio, sys
import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))

@app.task(queue="mail", name="send", pass_context=True)
async def send(context, to):
    if to == "nobody" and context.job.attempts == 0:
        raise ValueError("no such address")

@app.task(queue="mail", name="long")
async def long():
    await asyncio.sleep(600)

async def main():
    async with app.open_async():
        if "fill" in sys.argv:
            await app.schema_manager.apply_schema_async()
            await send.defer_async(to="nobody")
            await app.run_worker_async(wait=False, install_signal_handlers=False)
            await send.defer_async(to="ann")
            await send.configure(schedule_in={"hours": 1}).defer_async(to="ben")
        if "long" in sys.argv:
            await long.defer_async()
        if "work" in sys.argv:
            await app.run_worker_async(wait=False, install_signal_handlers=False)

asyncio.run(main())
"""


class Application:
    def __init__(self, postgres, path, folder):
        self.postgres, self.environment = postgres, {**os.environ, "PYTHONPATH": str(path)}
        self.file = folder / "application.py"
        self.file.write_text(APPLICATION)

    def start(self, *what):
        command = [sys.executable, self.file, self.postgres.url, *what]
        return subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)

    def run(self, *what):
        assert self.start(*what).wait(60) == 0

    def status(self, id):
        return self.postgres.run("SELECT status::text, attempts FROM procrastinate_jobs WHERE id = %s", (id,))


@pytest.fixture
def application(postgres, library, tmp_path):
    one = Application(postgres, library("procrastinate"), tmp_path)
    one.run("fill")
    return one


@pytest.fixture
def actor(postgres):
    return SqlActor(Database(postgres.url), procrastinate())


def test_what_failed_is_run_again_by_its_worker(application, actor):
    assert application.status(1) == [("failed", 1)]

    assert actor.act(Verb.RETRY, ["1", "2", "9"]) == {"1": "", "2": "it is todo now", "9": GONE}
    assert actor.verbs == {Verb.RETRY, Verb.CANCEL, Verb.DELETE}
    assert application.status(1) == [("todo", 2)]

    application.run("work")
    assert application.status(1) == [("succeeded", 3)]
    assert application.status(2) == [("succeeded", 1)]


def test_what_waits_is_cancelled_and_never_run(application, actor, open_source):
    assert actor.act(Verb.CANCEL, ["1", "2", "3"]) == {"1": "it is failed now", "2": "", "3": ""}

    application.run("work")
    source = open_source(application.postgres.url, library_map("procrastinate"))
    found = source.find(JobQuery(frozenset((JobState.CANCELLED,)))).jobs
    assert {job.id for job in found} == {"2", "3"}


def test_what_runs_is_asked_to_abort_and_is_not_deleted_or_retried(application, actor):
    actor.act(Verb.DELETE, ["2"])
    worker = application.start("long", "work")
    try:
        while application.postgres.run("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'") == []:
            assert worker.poll() is None
            time.sleep(0.02)
        ((id,),) = application.postgres.run("SELECT id::text FROM procrastinate_jobs WHERE status = 'doing'")

        assert actor.act(Verb.RETRY, [id]) == actor.act(Verb.DELETE, [id]) == {id: "it is doing now"}
        assert actor.act(Verb.CANCEL, [id]) == {id: ""}

        # It looks every five seconds whether it is asked to, if it does not hear it.
        assert worker.wait(60) == 0
    finally:
        worker.kill()
    assert application.status(id) == [("aborted", 1)]


def test_deleted_with_its_events(application, actor):
    assert actor.act(Verb.DELETE, ["1", "2", "3"]) == {"1": "", "2": "", "3": ""}
    assert application.postgres.run("SELECT * FROM procrastinate_events") == []


def test_functions_find_their_tables_in_a_schema_that_is_not_the_usual_one(application, postgres):
    """As an application that sets its own search path, and a credential that does not."""
    url = postgres.url.partition("?")[0]

    actor = SqlActor(Database(url, postgres.name), procrastinate(postgres.name))

    assert actor.act(Verb.RETRY, ["1"]) == {"1": ""}
    assert application.status(1) == [("todo", 2)]


def test_an_older_one_without_the_function_cannot_retry(application, actor):
    application.postgres.run(
        "DROP FUNCTION procrastinate_retry_job_v2(bigint, timestamptz, integer, character varying, character varying)"
    )

    assert actor.verbs == {Verb.CANCEL, Verb.DELETE}


def test_ids_that_are_none(application, actor):
    (reason,) = actor.act(Verb.DELETE, ["1 OR true"]).values()

    assert "invalid input syntax" in reason
    assert len(application.postgres.run("SELECT id FROM procrastinate_jobs")) == 3
