"""Several processes count, and each shows what all have counted."""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from threading import Thread

import pytest

from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample


@pytest.fixture
def joined(tmp_path):
    """Registries of one application in this process, which stand for those of several."""
    made = []

    def new(**options):
        registry = Registry(**options)
        share(registry, "shop", where=str(tmp_path / "shop"))
        made.append(registry)
        return registry

    yield new
    for registry in made:
        registry.membership.leave()


def values(registry, name=""):
    return {
        (sample.name, *(value for _, value in sample.labels.pairs)): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.startswith(name) and not sample.name.startswith("trackside_")
    }


@contextmanager
def child(work):
    """A forked process that does `work` and lives on until the block ends. It is killed then."""
    done, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            os.write(told, b"x")
            time.sleep(60)
            code = 0
        finally:
            os._exit(code)
    os.close(told)
    try:
        assert os.read(done, 1) == b"x"
        yield pid
    finally:
        os.close(done)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_single_process_has_no_file_and_no_thread(tmp_path):
    registry = Registry()
    membership = share(registry, f"alone-{os.getpid()}")
    registry.counter("a").inc()
    assert values(registry) == {("a_total",): 1}
    assert not membership.is_joined
    assert not membership.directory.exists()
    assert registry.leads()


class TestOfTwo:
    def test_counters_and_histograms_are_added_up(self, joined):
        one, other = joined(), joined()
        for registry, times in ((one, 2), (other, 3)):
            counter, histogram = registry.counter("c", labels=("x",)), registry.histogram("h", buckets=(1, 2))
            for _ in range(times):
                counter.labels("a").inc()
                histogram.observe(1.5)
        other.counter("c", labels=("x",)).labels("b").inc()
        expected = {
            ("c_total", "a"): 5,
            ("c_total", "b"): 1,
            ("h_bucket", "1.0"): 0,
            ("h_bucket", "2.0"): 5,
            ("h_bucket", "+Inf"): 5,
            ("h_count",): 5,
            ("h_sum",): 7.5,
        }
        assert values(one) == expected
        assert values(other) == expected

    def test_a_family_that_only_the_other_has_is_shown(self, joined):
        one, other = joined(), joined()
        other.counter("late", "Late.", ("x",), unit="bytes").labels("a").inc(3)
        found = next(family for family in one.collect() if family.name == "late_bytes_total")
        assert (found.type, found.help, found.unit) == (MetricType.COUNTER, "Late.", "bytes")
        assert values(one) == {("late_bytes_total", "a"): 3}

    def test_help_texts_may_differ(self, joined):
        one, other = joined(), joined()
        one.counter("c", "One.").inc()
        other.counter("c", "Other.").inc(2)
        assert values(one) == values(other) == {("c_total",): 3}

    def test_a_name_that_means_something_else_here_stays_what_it_is_here(self, joined):
        one, other = joined(), joined()
        one.gauge("x").set(1)
        other.gauge("x", labels=("a",)).labels("b").set(5)
        assert values(one) == {("x",): 1}
        assert values(other) == {("x", "b"): 5}

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            pytest.param("sum", {("g",): 8}, id="sum"),
            pytest.param("max", {("g",): 5}, id="max"),
            pytest.param("min", {("g",): 3}, id="min"),
            pytest.param("last", {("g",): 3}, id="last"),
            pytest.param("live", {("g", str(os.getpid())): 3}, id="live: both are this process here"),
        ],
    )
    def test_gauges(self, joined, mode, expected):
        one, other, untouched = joined(), joined(), joined()
        untouched.gauge("g", mode=mode)
        one.gauge("g", mode=mode).set(5)
        time.sleep(0.001)
        other.gauge("g", mode=mode).set(3)
        assert values(other) == expected

    def test_functions_of_gauges_are_known_when_they_were_published(self, joined):
        one, other = joined(), joined()
        one.gauge("waiting")
        other.gauge("waiting").set_function(lambda: 7)
        other.membership.publish()
        assert values(one) == {("waiting",): 7}

    def test_collectors_are_shown_by_process_or_added_up(self, joined):
        one, other = joined(), joined()
        for registry, value in ((one, 1.0), (other, 2.0)):
            for across in ("own", "pid", "sum"):
                samples = (Sample(across, Labels(), value),)
                registry.add_collector(
                    lambda across=across, samples=samples: [MetricFamily(across, MetricType.GAUGE, "", samples)], across
                )
            registry.membership.publish()
        pid = str(os.getpid())
        # Both have the same process id here, so that their series fall together.
        assert values(one) == {("own",): 1, ("pid", pid): 3, ("sum",): 3}

    def test_native_histograms_are_added_up(self, joined):
        one, other = joined(), joined()
        for registry, value in ((one, 1.0), (other, 1000.0)):
            registry.native_histogram("n").observe(value)
        assert values(one) == {("n_bucket", "+Inf"): 2, ("n_count",): 2, ("n_sum",): 1001}
        [(_, total, buckets)] = one.native_histogram("n").native_rows()
        assert total == 1001
        assert [count for _, count in buckets.positive] == [1, 1]

    def test_quantiles_are_of_all_observations(self, joined):
        one, other = joined(), joined()
        for registry, numbers in ((one, (1, 2, 3)), (other, (4, 5, 6, 7))):
            for number in numbers:
                registry.quantiles("q", quantiles=(0.5, 1)).observe(number)
        assert values(one) == {("q", "0.5"): 4, ("q", "1"): 7}

    def test_what_one_removes_the_other_still_shows(self, joined):
        one, other = joined(), joined()
        for registry in (one, other):
            counter = registry.counter("c", labels=("x",))
            counter.labels("a").inc()
            counter.labels("b").inc()
        kept = one.counter("c", labels=("x",)).labels("a")
        one.counter("c", labels=("x",)).remove("a")
        kept.inc(100)
        assert values(one) == values(other) == {("c_total", "a"): 1, ("c_total", "b"): 2}
        one.counter("c", labels=("x",)).labels("a").inc(10)
        assert values(other)["c_total", "a"] == 11

    def test_one_of_them_leads(self, joined):
        one, other = joined(), joined()
        assert [one.leads(), other.leads()] == [True, False]
        one.membership.leave()
        assert other.leads()

    def test_alone_each_shows_its_own(self, joined):
        one, other = joined(), joined()
        one.counter("c").inc()
        other.counter("c").inc(2)
        with one.alone():
            assert values(one) == {("c_total",): 1}
        assert values(one) == {("c_total",): 3}


def test_removed_series_do_not_fill_the_file(joined):
    registry, other = joined(max_series=10), joined()
    counter = registry.counter("c", labels=("x",))
    counter.labels("stays").inc(5)
    for number in range(20_000):
        counter.labels(number).inc()
        counter.remove(number)
    size = sum(file.stat().st_size for file in registry.membership.directory.glob("*.cells"))
    assert size < 2_000_000
    assert values(other) == values(registry) == {("c_total", "stays"): 5}


def test_values_move_along_when_others_come(tmp_path):
    registry = Registry()
    counter, gauge = registry.counter("c", labels=("x",)), registry.gauge("g")
    kept = counter.labels("a")
    kept.inc(2)
    gauge.set(4)
    membership = share(registry, "shop", where=str(tmp_path))
    kept.inc(3)
    assert membership.is_joined
    assert values(registry) == {("c_total", "a"): 5, ("g",): 4}
    membership.leave()


class TestForks:
    @pytest.fixture
    def registry(self, tmp_path):
        registry = Registry()
        share(registry, "shop", where=str(tmp_path / "shop"))
        yield registry
        registry.membership.leave()

    def test_a_child_begins_at_zero_and_both_show_the_sum(self, registry):
        counter = registry.counter("c", labels=("x",))
        kept = counter.labels("a")
        kept.inc(5)

        def work():
            kept.inc()
            counter.labels("b").inc(2)
            assert values(registry, "c_total") == {("c_total", "a"): 6, ("c_total", "b"): 2}

        with child(work):
            kept.inc(10)
            assert values(registry) == {("c_total", "a"): 16, ("c_total", "b"): 2}
        for _ in range(2):
            assert values(registry) == {("c_total", "a"): 16, ("c_total", "b"): 2}

    def test_without_being_told(self):
        registry = Registry()
        membership = share(registry, f"forks-{os.getpid()}")
        counter = registry.counter("c")
        counter.inc()
        with child(lambda: counter.inc(2)):
            assert values(registry) == {("c_total",): 3}
        assert values(registry) == {("c_total",): 3}
        membership.leave()
        assert not membership.directory.exists()

    def test_a_child_of_a_child(self, registry):
        counter = registry.counter("c")
        counter.inc()

        def work():
            counter.inc(10)
            with child(lambda: counter.inc(100)):
                assert values(registry) == {("c_total",): 111}
            assert values(registry) == {("c_total",): 111}

        with child(work):
            assert values(registry) == {("c_total",): 111}

    def test_gauges_of_the_dead_vanish_but_for_the_last_that_was_set(self, registry):
        names = {"sum": "s", "max": "m", "last": "l", "live": "v"}

        def work():
            for mode, name in names.items():
                registry.gauge(name, mode=mode).set(9)

        for mode, name in names.items():
            registry.gauge(name, mode=mode).set(1)
        with child(work) as pid:
            assert values(registry) == {
                ("s",): 10,
                ("m",): 9,
                ("l",): 9,
                ("v", str(os.getpid())): 1,
                ("v", str(pid)): 9,
            }
        for _ in range(3):
            assert values(registry) == {("s",): 1, ("m",): 1, ("l",): 9, ("v", str(os.getpid())): 1}

    def test_a_collector_of_a_child_is_known_soon(self, registry):
        registry.add_collector(
            lambda: [MetricFamily("up", MetricType.GAUGE, "", (Sample("up", Labels(), 1.0),))], across="pid"
        )
        with child(lambda: None) as pid:
            until = time.monotonic() + 50
            while values(registry, "up") != {("up", str(os.getpid())): 1, ("up", str(pid)): 1}:
                assert time.monotonic() < until
                time.sleep(0.02)
        values(registry)
        assert values(registry, "up") == {("up", str(os.getpid())): 1}

    def test_a_fork_in_the_middle_of_counting_loses_nothing(self):
        registry = Registry()
        share(registry, f"middle-{os.getpid()}")
        counter, histogram = registry.counter("c"), registry.histogram("h", buckets=(1,))
        stop = []
        counted = [0, 0]

        def count(which):
            while not stop:
                counter.inc()
                histogram.observe(1)
                counted[which] += 1

        threads = [Thread(target=count, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                with child(lambda: (counter.inc(), histogram.observe(1))):
                    pass
        finally:
            stop.append(1)
            for thread in threads:
                thread.join()
        total = sum(counted) + 10
        assert values(registry)["c_total",] == values(registry)["h_count",] == total
        registry.membership.leave()

    def test_many_short_lives_leave_few_files(self, registry):
        counter = registry.counter("c")
        for _ in range(80):
            if not (pid := os.fork()):
                counter.inc()
                os._exit(0)
            os.waitpid(pid, 0)
        assert len(list(registry.membership.directory.iterdir())) < 60
        assert values(registry) == {("c_total",): 80}


class TestTrouble:
    def test_a_file_that_somebody_removed_is_made_anew(self, joined):
        one, other = joined(), joined()
        one.counter("c").inc(5)
        for file in one.membership.directory.glob("*.cells"):
            file.unlink()
        assert values(one) == {("c_total",): 5}
        one.membership.publish()
        one.counter("c").inc()
        assert values(one) == {("c_total",): 6}
        assert values(other) == {("c_total",): 6}

    def test_a_directory_that_somebody_removed_is_made_anew(self, joined):
        one, other = joined(), joined()
        one.counter("c").inc(5)
        directory = one.membership.directory
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        for registry in (one, other):
            registry.membership.publish()
        assert values(other) == {("c_total",): 5}

    @pytest.mark.parametrize("when", ["at the start", "later"])
    def test_where_there_is_no_room_each_counts_for_itself(self, tmp_path, monkeypatch, when):
        def no_room(*about):
            raise OSError(28, "No space left on device")

        registry = Registry()
        if when == "later":
            share(registry, "shop", where=str(tmp_path))
        monkeypatch.setattr(os, "posix_fallocate", no_room)
        share(registry, "shop", where=str(tmp_path))
        counter = registry.counter("c", labels=("x",))
        for number in range(1_000):
            counter.labels(number).inc()
        assert sum(values(registry, "c_total").values()) == 1_000
        errors = {s.labels.get("where"): s.value for f in registry.collect() for s in f.samples if "errors" in s.name}
        assert errors["share"] > 0
        registry.membership.leave()

    def test_a_label_that_is_too_long_is_shown_by_its_process_only(self, joined):
        one, other = joined(), joined()
        one.counter("c", labels=("x",)).labels("a" * 100_000).inc(2)
        one.counter("c", labels=("x",)).labels("b").inc()
        assert sorted(values(one).values()) == [1, 2]
        assert values(other) == {("c_total", "b"): 1}

    def test_a_directory_that_is_not_ours_alone_is_not_used(self, tmp_path):
        (tmp_path / "open").mkdir(mode=0o777)
        (tmp_path / "open").chmod(0o777)
        registry = Registry()
        share(registry, "shop", where=str(tmp_path / "open"))
        registry.counter("c").inc()
        assert values(registry) == {("c_total",): 1}
        assert not list((tmp_path / "open").iterdir())

    def test_said_that_is_none_of_ours_is_left_out(self, joined):
        one, other = joined(), joined()
        for text in ("", "{", "[[1]]", json.dumps([["n", "gauge", "", "", "odd", []]]), "[" * 5_000):
            for file in other.membership.directory.glob("*.cells"):
                file.with_suffix(".said").write_text(text)
            assert values(one) == {}


def test_a_hundred_threads_lose_no_update(joined):
    registry = joined()
    counter, histogram = registry.counter("c", labels=("x",)), registry.histogram("h", buckets=(1, 2))
    gauge, stop = registry.gauge("g"), []

    def work(number):
        child = counter.labels(number % 4)
        for _ in range(2_000):
            child.inc()
            histogram.observe(1.5)
            gauge.inc()

    def scrape():
        while not stop:
            values(registry)

    threads = [Thread(target=work, args=(number,)) for number in range(100)]
    scraper = Thread(target=scrape)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in (*threads, scraper):
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
        stop.append(1)
    scraper.join()
    found = values(registry)
    assert [found["c_total", str(number)] for number in range(4)] == [50_000] * 4
    assert found["h_count",] == found["g",] == 200_000


def test_what_is_new_when_the_file_is_made_anew_is_not_lost(joined):
    registry, other = joined(), joined()
    churn, kept = registry.gauge("churn", labels=("x",)), registry.counter("kept", labels=("x",))
    file = registry.membership._cells.file
    for number in range(100_000):
        if file.dropped_bytes > max(262_144, file.used_bytes // 2):
            break
        churn.labels(str(number)).set(1)
        churn.remove(str(number))
    kept.labels("new").inc()
    kept.labels("new").inc(100)

    assert registry.membership._cells.file is not file
    assert values(registry, "kept") == values(other, "kept") == {("kept_total", "new"): 101}
