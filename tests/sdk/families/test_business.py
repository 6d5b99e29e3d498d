import asyncio
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.instruments.registry import Registry
from trackside.sdk.families.business import RETRY_S, Business, BusinessGauge
from trackside.sdk.families.maker import Maker
from trackside.sdk.guard import Guard


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def business(clock):
    """With a clock turned by hand, and no thread: `tick` and `refresh` are called by the tests."""
    registry = Registry()
    business = Business(Maker(registry, Guard(registry.count_error)), clock, lambda: 1_700_000_000 + clock.now_s)
    business._ensure_thread = lambda: None
    return business


def values(business):
    return {
        " ".join([sample.name, *sample.labels.as_dict().values()]): sample.value
        for family in business.families()
        for sample in family.samples
    }


def computed(business, callback, **options):
    gauge = BusinessGauge("ltv", callback, **options)
    business.add(gauge)
    business.refresh(gauge)
    return values(business)


def test_a_number_is_shown_with_the_time_of_it(business, clock):
    clock.now_s = 5.0
    assert computed(business, lambda: 42) == {
        "ltv": 42,
        "ltv_timestamp_seconds": 1_700_000_005,
        "business_refresh_failures_total ltv error": 0,
        "business_refresh_failures_total ltv timeout": 0,
    }


def test_a_name_that_ends_in_total_has_a_time_of_the_plain_name(business):
    gauge = BusinessGauge("customers_loaded_total", lambda: 1)
    business.add(gauge)
    business.refresh(gauge)
    assert {"customers_loaded_total", "customers_loaded_timestamp_seconds"} <= values(business).keys()


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([5, 1, 4, 2, 3], id="a list"),
        pytest.param((float(number) for number in (1, 2, 3, 4, 5)), id="a generator"),
        pytest.param({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, id="values of a mapping"),
        pytest.param([5, 1, 4, 2, 3, float("nan"), float("inf")], id="with numbers that are none"),
    ],
)
def test_percentiles_are_of_the_numbers(business, numbers):
    found = computed(business, lambda: numbers, percentiles=(0, 0.5, 0.9, 1))
    assert {series: value for series, value in found.items() if series.startswith("ltv 0") or series == "ltv 1.0"} == {
        "ltv 0.0": 1,
        "ltv 0.5": 3,
        "ltv 0.9": 5,
        "ltv 1.0": 5,
    }


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_a_percentile_is_the_least_number_that_is_not_below_that_share_of_them(numbers, share):
    registry = Registry()
    business = Business(Maker(registry, Guard()))
    business._ensure_thread = lambda: None
    gauge = BusinessGauge("ltv", lambda: numbers, percentiles=(share,))
    business.refresh(gauge)
    expected = min(value for value in numbers if sum(other <= value for other in numbers) >= share * len(numbers))
    assert gauge.values == ((repr(float(share)), expected),)


def test_no_numbers_have_no_percentiles(business):
    assert "ltv 0.5" not in computed(business, list, percentiles=(0.5,))


def test_coroutines_are_awaited(business):
    async def count():
        await asyncio.sleep(0)
        return 7

    assert computed(business, count)["ltv"] == 7


class TestFailures:
    def test_the_last_value_stays_with_its_time(self, business, clock):
        answers = [1, ValueError("no")]

        def callback():
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        computed(business, callback)
        clock.now_s = 60.0
        business.refresh(business._gauges["ltv"])
        found = values(business)
        assert (found["ltv"], found["ltv_timestamp_seconds"]) == (1, 1_700_000_000)
        assert found["business_refresh_failures_total ltv error"] == 1

    @pytest.mark.parametrize("answer", [None, "many", [1, 2], object()])
    def test_what_is_no_number_is_a_failure(self, business, answer):
        found = computed(business, lambda: answer)
        assert found["business_refresh_failures_total ltv error"] == 1
        assert "ltv" not in found

    def test_one_that_hangs_is_counted_once_and_not_started_again(self, business, clock, monkeypatch):
        started = []
        monkeypatch.setattr(
            business, "_start", lambda gauge, now_s: (started.append(now_s), setattr(gauge, "running_since_s", now_s))
        )
        gauge = BusinessGauge("ltv", lambda: 1, interval_s=60, deadline_s=30)
        business.add(gauge)
        for clock.now_s in (0.0, 10.0, 30.0, 60.0, 120.0):
            business.tick()
        assert started == [0.0]
        assert values(business)["business_refresh_failures_total ltv timeout"] == 1
        business.refresh(gauge)  # it answers after all
        assert values(business)["ltv"] == 1
        for clock.now_s in (121.0, 180.0):
            business.tick()
        assert started == [0.0, 180.0]

    def test_it_waits_until_the_next_is_due(self, business, clock, monkeypatch):
        monkeypatch.setattr(business, "_start", lambda gauge, now_s: setattr(gauge, "running_since_s", now_s))
        business.add(BusinessGauge("ltv", lambda: 1, deadline_s=30))
        assert business.tick() == 30
        clock.now_s = 10
        assert business.tick() == 20
        business.refresh(business._gauges["ltv"])
        assert business.tick() == 60


class TestOnAMonitor:
    def test_a_thread_asks_and_a_scrape_shows(self, monitor):
        asked = threading.Event()
        threads = []

        def callback():
            threads.append(threading.current_thread())
            asked.set()
            return 12

        monitor.business("churn_predictions_high_risk", callback, help="Customers at risk.")
        assert asked.wait(60)
        threads[0].join(60)
        page = monitor.exposition().decode()
        assert "# HELP churn_predictions_high_risk Customers at risk.\n" in page
        assert "\nchurn_predictions_high_risk 12\n" in page
        assert threading.main_thread() not in threads

    def test_one_that_hangs_holds_up_neither_the_scrape_nor_the_others(self, monitor):
        release, asked = threading.Event(), threading.Event()
        monitor.business("slow", lambda: release.wait(60))
        monitor.business("fast", lambda: asked.set() or 1)
        assert asked.wait(60)
        assert b"slow" in monitor.exposition()
        release.set()

    def test_the_same_name_again_replaces_the_callback(self, monitor):
        first, second = threading.Event(), threading.Event()
        monitor.business("a", first.set)
        monitor.business("a", second.set)
        assert second.wait(60)

    def test_a_child_process_asks_too(self, monitor):
        monitor.business("a", os.getpid, interval_s=0.05)
        parent_read, child_write = os.pipe()
        process_id = os.fork()
        if not process_id:
            status = 1
            try:
                for _ in range(3_000):
                    if f"\na {os.getpid()}\n".encode() in monitor.exposition():
                        status = 0
                        break
                    threading.Event().wait(0.02)
            finally:
                os.write(child_write, bytes([status]))
                os._exit(status)
        os.waitpid(process_id, 0)
        assert os.read(parent_read, 1) == b"\0"

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            pytest.param("no name", {}, id="no name"),
            pytest.param("a", {"percentiles": (50,)}, id="percentiles in percent"),
            pytest.param("a", {"interval_s": 0}, id="always"),
            pytest.param("a", {"deadline_s": -1}, id="no time"),
        ],
    )
    def test_a_mistake_is_told_at_once(self, monitor, off, name, options):
        for each in (monitor, off):
            with pytest.raises(ValueError, match=r"\w"):
                each.business(name, lambda: 1, **options)

    def test_a_number_is_not_a_callback(self, monitor):
        with pytest.raises(TypeError, match="expected something to call"):
            monitor.business("a", 42)


def test_without_threads_numbers_are_computed_later(business, clock, no_threads):
    gauge = BusinessGauge("ltv", lambda: 42)
    business.add(gauge)
    business.tick()
    assert gauge.running_since_s is None
    assert values(business)["business_refresh_failures_total ltv error"] == 1
    no_threads.undo()
    clock.now_s += RETRY_S
    business.tick()
    until_s = time.monotonic() + 60
    while "ltv" not in values(business) and time.monotonic() < until_s:
        time.sleep(0.005)
    assert values(business)["ltv"] == 42


def test_without_a_thread_that_waits_a_scrape_tries_for_one(no_threads):
    registry = Registry()
    business = Business(Maker(registry, Guard(registry.count_error)))
    gauge = BusinessGauge("ltv", lambda: 42)
    business.add(gauge)
    assert business._thread is None
    no_threads.undo()
    until_s = time.monotonic() + 60
    while "ltv" not in values(business) and time.monotonic() < until_s:
        time.sleep(0.005)
    assert values(business)["ltv"] == 42
