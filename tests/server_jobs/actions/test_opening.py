import sqlite3

import pytest

from trackside.exceptions import ConfigError
from trackside.jobs.acting.arq import ArqActor
from trackside.jobs.acting.celery import CeleryActor
from trackside.jobs.acting.dramatiq import DramatiqActor
from trackside.jobs.acting.rq import RqActor
from trackside.jobs.acting.sql.actor import SqlActor
from trackside.jobs.actor import Verb
from trackside.server.jobs.actions.actions import JobActions, Place
from trackside.server.jobs.actions.opening import open_actor
from trackside.server.jobs.actions.plan import Asked, Person
from trackside.server.jobs.actions.refusal import ActionError
from trackside.server.jobs.config import JobSourceConfig

REDIS, SQL = "redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/app"


def source(type, url=REDIS, act_url=None, **more):
    return JobSourceConfig(name="one", type=type, url=url, act_url=url if act_url is None else act_url, **more)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(source("rq"), RqActor, id="rq"),
        pytest.param(source("celery"), CeleryActor, id="celery"),
        pytest.param(source("arq"), ArqActor, id="arq"),
        pytest.param(source("dramatiq"), DramatiqActor, id="dramatiq"),
        pytest.param(source("procrastinate", SQL, schema="jobs"), SqlActor, id="procrastinate"),
        pytest.param(source("apalis", SQL), SqlActor, id="apalis"),
        pytest.param(source("table", SQL), SqlActor, id="table"),
        pytest.param(source("table", SQL, schema="app", table="work"), SqlActor, id="table in a schema"),
        pytest.param(source("oban", SQL), SqlActor, id="not known how"),
        pytest.param(source("rq", act_url=""), type(None), id="nobody may"),
    ],
)
def test_a_second_credential_makes_an_actor_and_connects_to_nothing(config, expected, tmp_path):
    actor = open_actor(config, tmp_path)
    assert type(actor) is expected
    if actor is not None:
        actor.close()


def test_the_credential_may_stand_in_a_file(tmp_path):
    (tmp_path / "secret").write_text(f"{REDIS}\n")
    config = JobSourceConfig(name="one", type="rq", url=REDIS, act_url_file="secret")

    assert isinstance(open_actor(config, tmp_path), RqActor)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_actor(config, tmp_path / "elsewhere")


def test_a_library_that_was_not_tried_out_has_no_verbs(desk, sqlite_url, tmp_path):
    actor = open_actor(source("oban", SQL, act_url=sqlite_url), tmp_path)
    actions = JobActions({"one": Place(desk.queue, actor)}, desk.db, desk.clock)

    with pytest.raises(ActionError, match="what can be done there: nothing that is known to be sound"):
        actions.plan(Person("1:ann", "ann"), Asked(Verb.RETRY, "one", ("1",)))
    assert actions.abilities("one") == actions.abilities("none") == {}


@pytest.fixture
def sqlite_url(tmp_path):
    sqlite3.connect(tmp_path / "jobs.db").close()
    return f"sqlite:///{tmp_path}/jobs.db"
