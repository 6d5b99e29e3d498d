import asyncio
from functools import lru_cache

import pytest

from trackside.instruments.registry import Registry
from trackside.sdk.families.caches import MAX_CACHES, WINDOW_S, Caches
from trackside.sdk.families.maker import Maker
from trackside.sdk.guard import Guard


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def caches(clock):
    registry = Registry()
    return Caches(Maker(registry, Guard(registry.count_error)), clock)


def rates(caches):
    [family] = caches.hit_rates()
    return {sample.labels.get("cache_type"): sample.value for sample in family.samples}


def test_hits_and_misses_are_counted_by_cache(monitor, shown):
    profiles = monitor.cache("customer_profiles")
    profiles.hit()
    profiles.hit(2)
    profiles.miss()
    monitor.cache("orders").miss()
    assert shown(monitor, "cache_") == {
        "cache_hits_total{cache_type=customer_profiles}": 3,
        "cache_hits_total{cache_type=orders}": 0,
        "cache_misses_total{cache_type=customer_profiles}": 1,
        "cache_misses_total{cache_type=orders}": 1,
        "cache_hit_rate{cache_type=customer_profiles}": 0.75,
        "cache_hit_rate{cache_type=orders}": 0,
    }


def test_a_cache_is_one_object(monitor):
    assert monitor.cache("a") is monitor.cache("a")


def test_the_size_is_a_gauge_for_those_who_tell_it(monitor, shown):
    monitor.cache("orders").size.set(12)
    monitor.cache("profiles").hit()
    assert shown(monitor, "cache_size") == {"cache_size{cache_type=orders}": 12}


@pytest.mark.parametrize(("value", "series"), [(None, "misses"), (0, "hits"), ("", "hits"), ([], "hits")])
def test_only_none_is_a_miss(monitor, shown, value, series):
    monitor.cache("a").found(value)
    assert shown(monitor, f"cache_{series}") == {f"cache_{series}_total{{cache_type=a}}": 1}


def test_a_function_that_looks_up_is_decorated(monitor, shown):
    @monitor.cache("a").lookup
    def get(key):
        return {"there": 1}.get(key)

    @monitor.cache("a").lookup
    async def get_later(key):
        return get.__wrapped__(key)

    assert get("there") == 1
    assert get("gone") is None
    assert asyncio.run(get_later("there")) == 1
    assert get.__name__ == "get"
    assert shown(monitor, "cache_hits", "cache_misses") == {
        "cache_hits_total{cache_type=a}": 2,
        "cache_misses_total{cache_type=a}": 1,
    }


def test_a_function_with_a_cache_of_its_own_is_followed(monitor, shown):
    @monitor.cache("squares").follow
    @lru_cache(maxsize=10)
    def square(number):
        return number * number

    for number in (1, 2, 1, 1):
        square(number)
    for _ in range(2):
        assert shown(monitor, "cache_hits", "cache_misses", "cache_size") == {
            "cache_hits_total{cache_type=squares}": 2,
            "cache_misses_total{cache_type=squares}": 2,
            "cache_size{cache_type=squares}": 2,
        }
    square.cache_clear()
    square(1)
    assert shown(monitor, "cache_misses") == {"cache_misses_total{cache_type=squares}": 3}


def test_what_has_no_cache_is_not_followed_and_not_harmed(monitor):
    assert monitor.cache("a").follow(len) is len


class TestHitRate:
    def test_it_is_that_of_the_last_minutes_not_of_all_time(self, caches, clock):
        cache = caches.cache("a")
        cache.hit(1000)
        assert rates(caches) == {"a": 1.0}
        for _ in range(int(WINDOW_S / 15) + 1):
            clock.now_s += 15
            cache.miss(3)
            cache.hit()
            rates(caches)
        assert rates(caches) == {"a": 0.25}

    def test_a_cache_that_nobody_asks_has_none(self, caches, clock):
        caches.cache("a").hit()
        assert rates(caches) == {"a": 1.0}
        for _ in range(int(WINDOW_S / 15) + 2):
            clock.now_s += 15
            last = rates(caches)
        assert last == {}

    def test_scrapes_that_are_further_apart_than_the_window_compare_with_the_last_one(self, caches, clock):
        cache = caches.cache("a")
        cache.hit(10)
        rates(caches)
        clock.now_s += 10 * WINDOW_S
        cache.miss(1)
        cache.hit(1)
        assert rates(caches) == {"a": 0.5}

    def test_many_scrapers_do_not_shorten_the_window(self, caches, clock):
        cache = caches.cache("a")
        cache.hit(1)
        for _ in range(1000):
            clock.now_s += 0.1
            rates(caches)
        cache.miss(1)
        assert rates(caches) == {"a": 0.5}


def test_made_up_caches_share_a_series(monitor, shown):
    for number in range(MAX_CACHES + 10):
        monitor.cache(f"cache-{number}").hit()
    found = shown(monitor, "cache_hits")
    assert len(found) == MAX_CACHES + 1
    assert found["cache_hits_total{cache_type=(overflow)}"] == 10


def test_a_family_of_the_applications_own_stays_its_own(monitor, shown):
    mine = monitor.counter("cache_hits_total", "Mine.", labels=("mine",)).labels("yes")
    mine.inc()
    cache = monitor.cache("a")
    cache.hit()
    cache.miss()
    found = shown(monitor, "cache_")
    assert found["cache_hits_total{mine=yes}"] == 1
    assert found["cache_misses_total{cache_type=a}"] == 1
