"""The section `jobs`, from the file to sources that can be looked at."""

import uuid

import pytest
import redis

from trackside.exceptions import ConfigError
from trackside.jobs.acting.rights import arq_rights, dramatiq_rights, rq_rights
from trackside.jobs.arq.source import ArqSource
from trackside.jobs.celery.source import CelerySource
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.jobs.rq.source import RqSource
from trackside.jobs.sql.source import SqlJobs
from trackside.jobs.verdicts.facts import ExpectedBeat, ExpectedWorkers
from trackside.model.jobs import JobQuery
from trackside.server.config import load_config, masked
from trackside.server.jobs.advice import source_advice
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.opening import check_sources, open_sources
from trackside.server.yamlfile import parse_yaml, section_of


@pytest.fixture
def load(tmp_path):
    def loaded(text):
        path = tmp_path / "trackside.yml"
        path.write_text(text)
        return load_config(path)

    return loaded


@pytest.fixture
def opened(load, tmp_path):
    made = []

    def opening(*sources):
        config = load("jobs:\n  sources:\n" + "".join(f"  - {source}\n" for source in sources))
        found = open_sources(config.root.jobs, tmp_path)
        made.extend(source for source, _ in found.values())
        return found

    yield opening
    for source in made:
        source.close()


@pytest.mark.parametrize(
    ("source", "kind", "backend"),
    [
        pytest.param("{name: a, type: rq, url: 'redis://127.0.0.1:1/0'}", RqSource, "rq", id="rq"),
        pytest.param("{name: a, type: arq, url: 'redis://127.0.0.1:1/0'}", ArqSource, "arq", id="arq"),
        pytest.param("{name: a, type: dramatiq, url: 'rediss://h'}", DramatiqSource, "dramatiq", id="dramatiq"),
        pytest.param(
            "{name: a, type: procrastinate, url: 'postgresql://h/d'}", SqlJobs, "postgres", id="a library's tables"
        ),
        pytest.param("{name: a, type: table, url: 'mysql+pymysql://h/d'}", SqlJobs, "mysql", id="a plain table"),
        pytest.param(
            "{name: a, type: table, url: 'sqlite:///d', table: {table: work, state: st, backend: own}}",
            SqlJobs,
            "own",
            id="a map of columns, usual words for states",
        ),
    ],
)
def test_each_type_has_its_source_and_none_is_connected_to(opened, source, kind, backend):
    ((found, pace),) = opened(source).values()

    assert isinstance(found, kind)
    assert found.backend == backend
    assert pace.interval_s == 5


def test_celery_listens_in_the_database_of_its_address(opened):
    ((found, _),) = opened(
        "{name: a, type: celery, url: 'redis://127.0.0.1:1/3', queues: [mail], interval: 10s}"
    ).values()

    assert isinstance(found, CelerySource)
    assert (found._settings.db, found._settings.queues) == (3, ("mail",))


def test_an_address_may_stand_in_a_file_beside_the_configuration(opened, tmp_path):
    (tmp_path / "redis-url").write_text("redis://127.0.0.1:1/0\n")

    assert list(opened("{name: a, type: rq, url_file: redis-url}")) == ["a"]


def test_what_is_expected_becomes_facts(load):
    config = load(
        "jobs:\n  sources: [{name: q, type: rq, url: 'redis://h'}]\n"
        "  expect: [{queue: high, workers: 2, source: q}, {beat: poller, every: 1s}]\n  oldest: 2m\n"
    ).root.jobs

    assert config.expected_workers() == (ExpectedWorkers("high", 2, "q"),)
    assert config.expected_beats() == (ExpectedBeat("poller", 1_000),)
    assert config.limits().oldest_ms == 120_000
    assert config.limits().budget_usd is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("{name: a, type: rqq, url: 'redis://h'}", "sources[0].type: expected 'rq', ", id="a type"),
        pytest.param("{name: a, type: rq}", "needs one of url and url_file", id="no address"),
        pytest.param("{name: a, type: rq, url: 'redis://h', url_file: x}", "needs one of url", id="two addresses"),
        pytest.param("{name: a/b, type: rq, url: 'redis://h'}", "sources[0].name: not a name", id="a name"),
        pytest.param("{name: actions, type: rq, url: 'redis://h'}", "[0].name: 'actions' is the", id="a page's name"),
        pytest.param("{name: Audit, type: rq, url: 'redis://h'}", "[0].name: 'Audit' is the", id="another page's name"),
        pytest.param("{name: a, type: rq, url: 'postgresql://h/d'}", "[0].url: expected an address", id="no Redis"),
        pytest.param("{name: a, type: apalis, url: 'redis://h'}", "begins with postgresql://", id="no database"),
        pytest.param("{name: a, type: rq, url: 'redis://h:port'}", "sources[0].url: not an address", id="a port"),
        pytest.param("{name: a, type: rq, url_file: gone}", "sources[0].url_file: ", id="a file that is not there"),
        pytest.param("{name: a, type: rq, url: 'redis://h', interval: 5}", "has no unit", id="an interval in numbers"),
        pytest.param("{name: a, type: rq, url: 'redis://h', interval: 100ms}", "1s or more", id="far too often"),
        pytest.param("{name: a, type: oban, url: 'postgresql://h', schema: 'x;y'}", "[0].schema: ", id="a schema"),
        pytest.param("{name: a, type: table, url: 'sqlite:///d', table: 'a b'}", "sources[0].table: ", id="a table"),
        pytest.param(
            "{name: a, type: table, url: 'sqlite:///d', table: {table: t, stat: x}}", "stat: there is no", id="a column"
        ),
        pytest.param("{name: a, type: rq, url: 'redis://h', act_url: 'http://h'}", "sources[0].act_url: ", id="acting"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(load, line, says):
    with pytest.raises(ConfigError) as caught:
        load(f"jobs:\n  sources:\n  - {line}\n")

    assert "trackside.yml:3: jobs." in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("expect: [{queue: a, beat: b, every: 1s}]", "one of queue and beat", id="both"),
        pytest.param("expect: [{beat: b}]", "needs every", id="a beat without an interval"),
        pytest.param("expect: [{queue: a, every: 1s}]", "belongs to a beat", id="a queue with one"),
        pytest.param("expect: [{queue: a, source: x}]", "no source is named 'x'; there are: none", id="a source"),
        pytest.param("budget_usd_per_day: 0", "greater than 0", id="no budget at all"),
        pytest.param("apalis_prefix: a-b", "beginning of a metric's name", id="a prefix"),
        pytest.param("trace_url: 'https://tempo/x'", "trace_url: expected an address with {trace_id}", id="no place"),
        pytest.param("trace_url: 'javascript:{trace_id}'", "trace_url: expected an address", id="no address"),
        pytest.param("surces: []", "did you mean 'sources'?", id="a key"),
    ],
)
def test_a_mistake_elsewhere_is_named_too(load, text, says):
    with pytest.raises(ConfigError, match=r"trackside\.yml:2: jobs") as caught:
        load(f"jobs:\n  {text}\n")

    assert says in str(caught.value)


def test_a_name_is_taken_once(load):
    with pytest.raises(ConfigError, match=r"trackside\.yml:4: jobs\.sources\[1\]\.name: .* exists already"):
        load("jobs:\n  sources:\n  - {name: a, type: rq, url: redis://h}\n  - {name: a, type: rq, url: redis://h}\n")


@pytest.mark.parametrize(
    ("source", "command"),
    [
        pytest.param("{name: a, type: rq, url: 'redis://h'}", "pip install redis", id="redis"),
        pytest.param("{name: a, type: oban, url: 'postgres://h'}", "pip install 'psycopg[binary]'", id="psycopg"),
        pytest.param("{name: a, type: table, url: 'mysql://h/d'}", "pip install pymysql", id="pymysql"),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(tmp_path, source, command):
    document = parse_yaml(f"sources:\n- {source}\n", "trackside.yml")

    with pytest.raises(ConfigError) as caught:
        check_sources(document, section_of(document, JobsConfig), tmp_path, has=lambda module: False)

    assert command in str(caught.value)


def test_no_password_is_shown(load, tmp_path):
    text = "jobs:\n  sources:\n  - {name: a, type: rq, url: 'http://me:s3cret@h'}\n"

    with pytest.raises(ConfigError) as caught:
        load(text)

    assert "s3cret" not in str(caught.value)
    config = load("jobs:\n  sources: [{name: a, type: rq, url: 'redis://me:s3cret@h'}]\n").root.jobs
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(list(source_advice(config, tmp_path)))


class TestAdvice:
    def lines(self, load, source):
        config = load(f"jobs:\n  sources:\n  - {source}\n")
        ((_, lines),) = source_advice(config.root.jobs, config.file.parent)
        return list(lines)

    @pytest.mark.parametrize("kind", ["rq", "celery", "arq", "dramatiq"])
    def test_a_user_of_redis_may_do_just_enough(self, load, tmp_path, redis_url, kind):
        (line,) = self.lines(load, f"{{name: a, type: {kind}, url: '{redis_url}'}}")
        name, password = f"looks-{uuid.uuid4().hex}", "pw"
        admin = redis.Redis.from_url(redis_url)
        admin.execute_command(*line.replace("trackside on >...", f"{name} on >{password}").split(" "))
        url = redis_url.replace("redis://", f"redis://{name}:{password}@")

        ((source, _),) = open_sources(
            load(f"jobs:\n  sources: [{{name: a, type: {kind}, url: '{url}'}}]\n").root.jobs, tmp_path
        ).values()
        try:
            first = source.sample()
            assert source.sample(first.cursor).at_ms >= first.at_ms
            source.find(JobQuery())
        finally:
            source.close()
        with pytest.raises(redis.exceptions.NoPermissionError):
            redis.Redis.from_url(url).set("a", 1)
        admin.execute_command("ACL", "DELUSER", name)

    def test_a_role_of_postgres_may_do_just_enough(self, load, tmp_path, postgres_url):
        psycopg = pytest.importorskip("psycopg")
        schema = f"s{uuid.uuid4().hex}"
        source = f"{{name: a, type: table, schema: {schema}, url: '{postgres_url}'}}"
        lines = [line for line in self.lines(load, source) if not line.startswith("--")]
        role = schema + "_reader"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"create schema {schema}")
            connection.execute(f"create table {schema}.jobs (id serial, status text, created_at timestamptz)")
            connection.execute(f"insert into {schema}.jobs (status, created_at) values ('queued', now())")
            for line in lines:
                connection.execute(line.replace('"trackside"', role).replace("'...'", "'pw'"))
        url = postgres_url.replace("postgres@", f"{role}:pw@")

        ((opened, _),) = open_sources(
            load(f"jobs:\n  sources: [{{name: a, type: table, schema: {schema}, url: '{url}'}}]\n").root.jobs, tmp_path
        ).values()
        try:
            (queue,) = opened.sample().queues
        finally:
            opened.close()
        assert sum(queue.counts.values()) == 1
        with psycopg.connect(url) as connection, pytest.raises(psycopg.Error):
            connection.execute(f"delete from {schema}.jobs")

    def test_who_may_act_is_another_user(self, load):
        source = "{name: a, type: rq, url: 'redis://app:x@h', act_url: 'redis://app:x@h'}"

        assert [line.split(" ")[2] for line in self.lines(load, source)] == ["trackside", "trackside_acts"]

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            pytest.param("type: rq, prefix: app, url: 'redis://h'", rq_rights("app"), id="rq"),
            pytest.param("type: arq, url: 'redis://h', queues: [mail]", arq_rights(["mail"]), id="arq"),
            pytest.param("type: dramatiq, url: 'redis://h'", dramatiq_rights(), id="dramatiq"),
            pytest.param("type: celery, url: 'redis://h/3'", "~* &/3.celery.pidbox", id="celery"),
            pytest.param(
                "type: table, schema: app, url: 'postgresql://h/d'",
                'GRANT SELECT, UPDATE, DELETE ON "app"."jobs" TO "trackside_acts";',
                id="a table",
            ),
            pytest.param(
                "type: apalis, url: 'postgresql://h/d'", 'lock_by, last_result) ON "apalis"."jobs"', id="apalis"
            ),
            pytest.param(
                "type: procrastinate, url: 'postgresql://h/d'", 'GRANT INSERT ON "public"."proc', id="procrastinate"
            ),
            pytest.param("type: table, url: 'sqlite:///a.db'", "who may write the file and its folder", id="sqlite"),
            pytest.param("type: table, url: 'mysql://h/d'", "UPDATE, DELETE ON your_database.`jobs`", id="mysql"),
            pytest.param("type: oban, url: 'postgresql://h/d'", "act_url is of no use", id="nothing can be done"),
        ],
    )
    def test_a_user_who_may_act_needs(self, load, source, expected):
        url = source.partition("url: ")[2].split(",")[0]

        assert expected in "\n".join(self.lines(load, f"{{name: a, {source}, act_url: {url}}}"))
        assert expected not in "\n".join(self.lines(load, f"{{name: a, {source}}}"))

    def test_indexes_are_suggested_for_a_known_table(self, load):
        source = "{name: a, type: table, url: 'postgresql://h/d', table: {table: w, state: st, finished: done}}"

        assert any(line.startswith("CREATE INDEX CONCURRENTLY") for line in self.lines(load, source))


@pytest.mark.parametrize(
    "line",
    [
        "url: redis://me:s3cret@h/0",
        "url: 'redis://h/0?db=1&password=s3cret'",
        "sources: [{act_url: 'postgresql://me:s3cret@h/d'}]",
        "act_url: s3cret",
    ],
)
def test_the_configuration_is_shown_without_its_passwords(line):
    assert "s3cret" not in masked(line)
