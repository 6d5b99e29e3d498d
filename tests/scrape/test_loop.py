"""One target over time: samples, reports, staleness, failures."""

import asyncio
import math

import pytest

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.targets import TargetHealth
from trackside.server.scrape import loop as loop_module
from trackside.server.scrape.collector import ScrapeMetrics
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.loop import Ports, TargetLoop
from trackside.server.scrape.protocols import ScrapeError
from trackside.server.scrape.sources import Page
from trackside.server.scrape.targets import Target

TARGET = Target("shop", "http://a:1/metrics", Labels.of(job="shop", instance="a:1"), Labels(), 15_000, 10_000)


class Pages:
    """A source that gives one page after the other; an exception among them is raised."""

    def __init__(self):
        self.now = "a 1\n"

    async def pull(self, now_ms):
        if isinstance(self.now, BaseException):
            raise self.now
        return self.now if isinstance(self.now, Page) else Page(self.now.encode())


class Scraped:
    def __init__(self, store, clock, **keys):
        self.source, self.registry, self.time_ms, self.store = Pages(), Registry(), 0, store
        config = ScrapeConfig.model_validate({"job_name": "shop", **keys})
        self.loop = TargetLoop(TARGET, config, self.source, Ports(store, clock, ScrapeMetrics(self.registry)))

    def scrape(self, page):
        self.source.now = page
        self.time_ms += 15_000
        asyncio.run(self.loop.scrape(self.time_ms))
        return self.loop.status

    def counted(self, name, **labels):
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == Labels.of(labels):
                    return sample.value
        return 0


@pytest.fixture
def shop(store, clock):
    return Scraped(store, clock)


def test_a_scrape_stores_the_page_and_the_report(shop, store):
    status = shop.scrape('a{b="c"} 1\na{b="d"} 2\n')
    assert store.last("a") == {'{b="c"}': 1.0, '{b="d"}': 2.0}
    assert [store.value(name) for name in loop_module.REPORT] == [1, 0, 2, 2, 2]
    assert (status.health, status.samples, status.last_scrape_ms, status.last_error) == (TargetHealth.UP, 2, 15_000, "")
    assert len(store.rows) == 1


def test_series_added_counts_only_what_is_new(shop, store):
    shop.scrape("a 1\n")
    shop.scrape("a 1\n")
    assert store.value("scrape_series_added") == 0
    shop.scrape("a 1\nb 1\n")
    assert store.value("scrape_series_added") == 1


def test_a_series_that_vanished_gets_one_marker(shop, store):
    shop.scrape("a 1\nb 2\n")
    shop.scrape("a 2\n")
    assert store.last("b") == {"{}": None}
    shop.scrape("a 3\n")
    assert store.last("b") == {}
    shop.scrape("a 4\nb 5\n")
    assert store.last("b") == {"{}": 5.0}


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        pytest.param(ScrapeError("connection refused"), "connection refused", id="unreachable"),
        pytest.param("a 1\nb", "the page cannot be read: line 2", id="cut off"),
        pytest.param(Page(b"<html>", "text/html"), "web page", id="a web page"),
        pytest.param(Page(b"<html>", ""), "the page cannot be read: line 1", id="a web page of an unsaid type"),
        pytest.param(RuntimeError("oops"), "the scrape failed: RuntimeError: oops", id="what nobody thought of"),
    ],
)
def test_a_failed_scrape_ends_all_series_and_says_why(shop, store, page, reason):
    shop.scrape("a 1\nb 2\n")
    status = shop.scrape(page)
    assert (status.health, store.value("up")) == (TargetHealth.DOWN, 0.0)
    assert reason in status.last_error
    assert (store.last("a"), store.last("b")) == ({"{}": None}, {"{}": None})
    shop.scrape(page)
    assert store.last("a") == {}
    shop.scrape("a 1\nb 2\n")
    assert (store.value("up"), store.last("a")) == (1.0, {"{}": 1.0})
    assert shop.counted("trackside_scrape_attempts_total", scrape_job="shop", outcome="failure") == 2


def test_a_page_beyond_the_sample_limit_is_refused_whole(store, clock):
    shop = Scraped(store, clock, sample_limit=2)
    shop.scrape("a 1\nb 1\n")
    status = shop.scrape("a 1\nb 1\nc 1\n")
    assert "3 samples are more than sample_limit = 2" in status.last_error
    assert (store.value("up"), store.value("scrape_samples_scraped"), store.last("c")) == (0.0, 3.0, {})
    assert store.value("scrape_sample_limit") == 2
    shop.scrape("a 1\nb 1\n")
    assert store.last("a") == {"{}": 1.0}


def test_a_page_beyond_the_sample_limit_puts_no_series_into_the_store(store, clock):
    shop = Scraped(store, clock, sample_limit=2)
    shop.scrape("".join(f'a{{b="{index}"}} 1\n' for index in range(100)))
    assert len(store.ids) == len(loop_module.REPORT) + 1
    assert store.value("scrape_samples_post_metric_relabeling") == 100


def test_dropped_samples_do_not_count_towards_the_limit(store, clock):
    drop = [{"action": "drop", "source_labels": ["__name__"], "regex": "go_.*"}]
    shop = Scraped(store, clock, sample_limit=2, metric_relabel_configs=drop)
    for _ in range(2):
        assert shop.scrape("go_a 1\na 1\ngo_b 1\nb 1\n").health is TargetHealth.UP
    assert (store.value("scrape_samples_scraped"), store.value("scrape_samples_post_metric_relabeling")) == (4, 2)


def test_a_target_that_always_has_new_series_does_not_fill_the_memory(small_store, clock):
    shop = Scraped(small_store, clock)
    drop = 'a{{b="{}-{}"}} 1\n'
    for generation in range(30):
        shop.scrape("".join(drop.format(generation, index) for index in range(200)))
    assert shop.loop.status.health is TargetHealth.DOWN
    assert len(shop.loop._cache._refs) < 2_000


def test_the_same_page_again_after_a_refusal_writes_nothing_wrong(store, clock):
    shop = Scraped(store, clock, sample_limit=2)
    shop.scrape("a 1\nb 2\n")
    for _ in range(2):
        shop.scrape("x 7\ny 8\nz 9\n")
        assert store.last("x") == {}
        assert store.value("up") == 0


def test_more_facts_on_request(store, clock):
    shop = Scraped(store, clock, extra_scrape_metrics=True)
    shop.scrape("a 1\n")
    names = ("scrape_sample_limit", "scrape_timeout_seconds", "scrape_body_size_bytes")
    assert [store.value(name) for name in names] == [0, 10, 4]


def test_samples_with_times_go_apart_and_get_no_markers(shop, store):
    shop.scrape("a 1 14000\nb 2\n")
    assert store.series == [(Labels.of(__name__="a", job="shop", instance="a:1"), [14_000], [1.0])]
    shop.scrape("b 2\n")
    assert store.last("a") == {}


def test_samples_with_times_get_markers_on_request(store, clock):
    shop = Scraped(store, clock, track_timestamps_staleness=True)
    shop.scrape("a 1 14000\nb 2\n")
    shop.scrape("b 2\n")
    assert store.last("a") == {"{}": None}


def test_a_page_that_says_up_itself_does_not_win(shop, store):
    for _ in range(3):
        shop.scrape("up 7\na 1\n")
        assert (store.value("up"), store.value("a")) == (1.0, 1.0)
    shop.scrape(ScrapeError("gone"))
    assert store.value("up") == 0.0


def test_duplicates_are_counted(shop):
    shop.scrape("a 1\na 2\n")
    shop.scrape("a 1\na 2\n")
    assert shop.counted("trackside_scrape_samples_dropped_total", reason="duplicate_in_page") == 2


def test_a_target_that_is_removed_ends_with_its_report(shop, store):
    shop.scrape("a 1\n")
    shop.loop.end(15_000)
    _, time_ms, row = store.rows[-1]
    assert (time_ms, set(row.values()), len(row)) == (15_001, {None}, 6)
    shop.loop.end(16_000)
    assert all(value is None for value in store.rows[-1][2].values())


def test_a_full_store_fails_the_scrape_and_not_the_server(small_store, clock):
    shop = Scraped(small_store, clock)
    shop.scrape("a 1\n")
    status = shop.scrape("".join(f'a{{b="{index}"}} 1\n' for index in range(50)))
    assert (small_store.value("up"), status.health) == (0.0, TargetHealth.DOWN)
    assert "more than 20 series" in status.last_error
    shop.scrape("a 1\n")
    assert small_store.value("a") == 1.0


def test_a_store_that_was_full_from_the_start_is_named(clock, small_store):
    small_store.max_series = 3
    assert "more than 3 series" in Scraped(small_store, clock).scrape("a 1\n").last_error


def test_a_large_page_is_learned_in_turns(shop, store):
    status = shop.scrape("".join(f'a{{b="{index}", c="{"x" * 60}"}} {index}\n' for index in range(5_000)))
    assert (status.samples, store.value("scrape_series_added"), len(store.last("a"))) == (5_000, 5_000, 5_000)


def test_a_loop_takes_over_from_another(store, clock):
    old, new = Scraped(store, clock, sample_limit=10), Scraped(store, clock)
    old.scrape("a 1\nb 2\n")
    new.time_ms = 15_000
    new.loop.take_over(old.loop)
    assert new.loop.status.last_scrape_ms == 15_000
    new.scrape("a 1\n")
    assert (store.last("a"), store.last("b")) == ({"{}": 1.0}, {"{}": None})
    assert store.last("scrape_sample_limit") == {"{}": None}
    assert store.value("scrape_series_added") == 0


def test_a_refused_target_is_not_asked(shop, store):
    shop.loop.refusal = "too many targets"
    assert shop.scrape(RuntimeError("asked")).last_error == "too many targets"
    assert store.value("up") == 0


def test_values_that_are_no_numbers_are_values(shop, store):
    shop.scrape("a NaN\nb +Inf\n")
    assert math.isnan(store.value("a"))
    assert store.value("b") == math.inf
