"""All jobs together, with a clock in the test's hand and no sockets."""

import asyncio
import json
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import httpx
import pytest

from trackside.exceptions import ConfigError
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.targets import TargetHealth
from trackside.server.schedule import Schedule
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig
from trackside.server.scrape.pools import ScrapePools, first_scrape_ms, rounded
from trackside.server.scrape.sources import InProcessSource, Page
from trackside.server.scrape.targets import Target


class World:
    """Targets that answer, a schedule, and the pools between them."""

    def __init__(self, store, clock):
        self.store, self.clock, self.schedule, self.registry = store, clock, Schedule(), Registry()
        self.pages, self.asked = {}, []
        self.runner = asyncio.Runner()
        self.pools = self.run(self._made)

    async def _made(self):
        transport = httpx.MockTransport(self._answer)
        own = [("trackside", "self", InProcessSource(lambda: b"own 1\n"))]
        return ScrapePools(
            self.store, self.schedule, self.clock, self.registry, lambda c: httpx.AsyncClient(transport=transport), own
        )

    def run(self, function, *arguments):
        return self.runner.run(function(*arguments))

    def _answer(self, request):
        self.asked.append((self.clock.ms, str(request.url)))
        page = self.pages.get(request.url.host, "a 1\n")
        return httpx.Response(200, text=page, headers={"content-type": "text/plain; version=0.0.4"})

    def apply(self, *jobs, **defaults):
        configs = [ScrapeConfig.model_validate(job) for job in jobs]
        self.run(self.pools.apply, GlobalConfig.model_validate(defaults), configs, self.clock.ms)

    def wait(self, seconds):
        for _ in range(int(seconds * 2)):
            self.clock.ms += 500
            self.run(self.schedule.run_due, self.clock.ms)

    def targets(self):
        return {status.labels.get("instance"): status for status in self.pools.targets()}

    def rows(self, instance):
        return [row for row in self.store.rows if f'instance="{instance}"' in row[0]]

    def counted(self, name, **labels):
        found = [
            s for f in self.registry.collect() for s in f.samples if (s.name, s.labels) == (name, Labels.of(labels))
        ]
        return found[0].value if found else 0


@pytest.fixture
def world(store, clock):
    made = World(store, clock)
    yield made
    made.run(made.pools.close)
    made.runner.close()


def job(name, *targets, **keys):
    return {"job_name": name, "static_configs": [{"targets": list(targets)}], **keys}


@contextmanager
def unchanged(world):
    before = [id(status) for status in world.pools.targets()]
    yield
    assert [id(status) for status in world.pools.targets()] == before


def test_targets_are_scraped_each_interval_at_even_times(world):
    world.apply(job("shop", "a:1", "b:2"), scrape_interval="10s")
    world.wait(60)
    for instance in ("a:1", "b:2"):
        times = [time_ms for _, time_ms, _ in world.rows(instance)]
        assert len(times) == 6
        assert {later - earlier for earlier, later in pairwise(times)} == {10_000}
    assert list(world.targets()) == ["a:1", "b:2", "self"]
    assert all(status.health is TargetHealth.UP for status in world.targets().values())
    assert world.counted("trackside_scrape_targets", scrape_job="shop") == 2


def test_the_server_scrapes_itself(world):
    world.apply()
    world.wait(20)
    labels = {str(labels) for labels in world.rows("self")[-1][2]}
    assert 'own{instance="self", job="trackside"}' in labels
    assert 'up{instance="self", job="trackside"}' in labels


def test_a_reload_of_the_same_configuration_interrupts_nothing(world):
    world.apply(job("shop", "a:1"))
    world.wait(20)
    rows = len(world.store.rows)
    with unchanged(world):
        world.apply(job("shop", "a:1"))
    assert len(world.store.rows) == rows
    world.wait(40)
    times = [time_ms for _, time_ms, _ in world.rows("a:1")]
    assert {later - earlier for earlier, later in pairwise(times)} == {15_000}


def test_a_job_that_changes_keeps_its_series_and_its_status(world):
    world.apply(job("shop", "a:1"))
    world.wait(20)
    rows = len(world.store.rows)
    world.apply(job("shop", "a:1", sample_limit=100))
    assert len(world.store.rows) == rows
    assert world.targets()["a:1"].health is TargetHealth.UP
    world.wait(20)
    row = {labels.get("__name__"): value for labels, value in world.rows("a:1")[-1][2].items()}
    assert (row["a"], row["scrape_sample_limit"], row["scrape_series_added"]) == (1.0, 100.0, 0.0)


def test_targets_and_jobs_that_go_end(world):
    world.apply(job("shop", "a:1", "b:2"), job("other", "c:3"))
    world.wait(20)
    world.apply(job("shop", "a:1"))
    assert list(world.targets()) == ["a:1", "self"]
    for instance in ("b:2", "c:3"):
        assert set(world.rows(instance)[-1][2].values()) == {None}
    asked = len(world.asked)
    world.wait(30)
    assert {url for _, url in world.asked[asked:]} == {"http://a:1/metrics"}
    assert world.counted("trackside_scrape_targets", scrape_job="other") == 0


def test_one_job_of_a_name(world):
    world.apply(job("shop", "a:1"))
    with unchanged(world), pytest.raises(ConfigError, match="two scrape_configs have the job_name 'shop'"):
        world.apply(job("shop", "a:1"), job("shop", "b:2"))


def test_a_certificate_that_cannot_be_read_changes_nothing(store, clock):
    async def run():
        pools = ScrapePools(store, Schedule(), clock, Registry())
        await pools.apply(GlobalConfig(), [ScrapeConfig.model_validate(job("shop", "a:1"))], 0)
        wrong = job("other", "b:2", scheme="https", tls_config={"ca_file": "/nowhere/ca.pem"})
        with pytest.raises(ConfigError, match="tls_config"):
            await pools.apply(GlobalConfig(), [ScrapeConfig.model_validate(wrong)], 0)
        assert [status.scrape_pool for status in pools.targets()] == ["shop"]
        await pools.close()

    asyncio.run(run())


def test_more_targets_than_allowed_are_all_refused_and_say_so(world):
    world.apply(job("shop", "a:1", "b:2", target_limit=1))
    world.wait(20)
    assert world.asked == []
    assert "2 targets are more than target_limit = 1" in world.targets()["a:1"].last_error
    world.apply(job("shop", "a:1", target_limit=1))
    world.wait(20)
    assert world.targets()["a:1"].health is TargetHealth.UP


def test_a_file_of_targets_is_followed(world, tmp_path):
    file = tmp_path / "targets.json"
    file.write_text(json.dumps([{"targets": ["a:1"]}]))
    world.apply({"job_name": "shop", "file_sd_configs": [{"files": [str(file)]}]})
    assert list(world.targets()) == ["a:1", "self"]
    world.wait(20)
    file.write_text(json.dumps([{"targets": ["b:22"]}]))
    world.wait(6)
    assert list(world.targets()) == ["b:22", "self"]
    assert set(world.rows("a:1")[-1][2].values()) == {None}
    file.write_text("[")
    world.wait(12)
    assert list(world.targets()) == ["b:22", "self"]
    assert world.counted("trackside_scrape_discovery_failures_total", scrape_job="shop") == 1
    assert "targets.json" in world.pools.problems()[0]


def test_a_reload_keeps_what_was_found_while_the_list_is_broken(world, tmp_path):
    file = tmp_path / "targets.json"
    file.write_text(json.dumps([{"targets": ["a:1"]}]))
    shop = {"job_name": "shop", "file_sd_configs": [{"files": [str(file)]}]}
    world.apply(shop)
    file.write_text("[")
    world.wait(6)
    world.apply({**shop, "sample_limit": 10})
    assert list(world.targets()) == ["a:1", "self"]


def test_one_broken_target_harms_no_other(world):
    world.pages["a"] = "not a page"
    world.apply(job("shop", "a:1", "b:2"))
    world.wait(20)
    assert world.targets()["a:1"].health is TargetHealth.DOWN
    assert world.targets()["b:2"].health is TargetHealth.UP


def test_targets_that_relabeling_breaks_or_drops_are_shown(world):
    rules = [
        {"action": "drop", "source_labels": ["__address__"], "regex": "b:2"},
        {"source_labels": ["__address__"], "regex": "c:3", "target_label": "__scheme__", "replacement": "ftp"},
    ]
    world.apply(job("shop", "a:1", "b:2", "c:3", relabel_configs=rules))
    assert list(world.targets()) == ["a:1", "self"]
    assert [(name, labels.get("__address__")) for name, labels in world.pools.dropped_targets()] == [("shop", "b:2")]
    assert "expected http or https" in world.pools.problems()[0]
    assert world.counted("trackside_scrape_invalid_targets", scrape_job="shop") == 1


def test_metadata_by_target(world):
    world.pages["a"] = "# HELP a_total Jobs\n# TYPE a_total counter\na_total 1\n"
    world.apply(job("shop", "a:1"))
    world.wait(20)
    status, described = world.pools.metadata()[0]
    assert (status.labels.get("instance"), described) == ("a:1", {"a_total": ("counter", "Jobs", "")})


def test_the_page_that_is_asked_for(world):
    world.apply(job("shop", "a:1", params={"x": ["y"]}, metrics_path="/m"))
    world.wait(20)
    assert world.asked[0][1] == "http://a:1/m?x=y"


def test_targets_are_spread_over_the_interval_and_stay_in_their_place():
    targets = [
        Target("shop", f"http://a:{n}/", Labels.of(instance=f"a:{n}"), Labels(), 10_000, 5_000) for n in range(200)
    ]
    offsets = [first_scrape_ms(target, 1_000_000) % 10_000 for target in targets]
    assert len({offset // 1_000 for offset in offsets}) == 10
    assert offsets == [first_scrape_ms(target, 7_777_777) % 10_000 for target in targets]
    assert all(1_000_000 < first_scrape_ms(target, 1_000_000) <= 1_010_000 for target in targets)


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        pytest.param(10_003, 10_003, id="on the dot"),
        pytest.param(25_103, 25_003, id="a little late"),
        pytest.param(25_300, 25_300, id="too late"),
    ],
)
def test_a_scrape_that_starts_in_time_gets_the_planned_time(at_ms, expected):
    assert rounded(at_ms, 10_003, 15_000) == expected


# -- Targets that no discovery finds -------------------------------------------------------------


class Asked:
    """A source that counts, and may say that what it speaks for is down."""

    def __init__(self, problem=""):
        self.problem, self.times = problem, []

    async def pull(self, now_ms):
        self.times.append(now_ms)
        return Page(b"found 1\n", problem=self.problem)


def given(name, source, interval_ms=2_000):
    labels = Labels.of(job="uptime", instance=name)
    return SimpleNamespace(url=f"tcp://{name}", labels=labels, interval_ms=interval_ms, timeout_ms=500, source=source)


def test_targets_that_are_given_are_asked_at_their_own_interval_with_their_own_labels(world):
    world.apply()
    source = Asked()
    world.pools.give("uptime", [given("a", source)], world.clock.ms)
    world.wait(10)

    assert len(source.times) == 5
    assert len({b - a for a, b in pairwise(source.times)}) == 1
    values = {str(labels): value for _, _, row in world.rows("a") for labels, value in row.items()}
    assert values['found{instance="a", job="uptime"}'] == 1
    assert world.targets()["a"].interval_ms == 2_000


def test_one_that_is_given_again_is_not_interrupted_and_one_that_is_not_ends(world):
    world.apply()
    a, b, new = Asked(), Asked(), Asked()
    world.pools.give("uptime", [given("a", a), given("b", b)], world.clock.ms)
    world.wait(4)
    world.pools.give("uptime", [given("a", a), given("c", new)], world.clock.ms)
    world.wait(4)

    assert (len(a.times), len(b.times), len(new.times)) == (4, 2, 2)
    assert all(value is None for value in world.rows("b")[-1][2].values()), "its series end"
    world.apply(job("shop", "shop:1"))
    world.wait(4)
    assert len(a.times) == 6, "a reload of the jobs is nothing to it"


def test_another_source_of_the_same_target_goes_on_with_its_series(world):
    world.apply()
    world.pools.give("uptime", [given("a", Asked())], world.clock.ms)
    world.wait(4)
    second = Asked()
    world.pools.give("uptime", [given("a", second)], world.clock.ms)
    world.wait(4)

    assert len(second.times) == 2
    assert not [value for _, _, row in world.rows("a") for value in row.values() if value is None]


def test_a_page_that_says_why_its_target_is_down_is_stored_all_the_same(world):
    world.apply()
    world.pools.give("postgres", [given("db", Asked("connection refused"))], world.clock.ms)
    world.wait(4)

    row = {labels.get("__name__"): value for labels, value in world.rows("db")[-1][2].items()}
    assert (row["up"], row["found"]) == (0, 1)
    status = world.targets()["db"]
    assert (status.health, status.last_error) == (TargetHealth.DOWN, "connection refused")
