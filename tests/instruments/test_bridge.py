import os
import subprocess
import sys
from types import SimpleNamespace

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily

from trackside.instruments.bridge import Bridge
from trackside.instruments.process_metrics import process_families
from trackside.instruments.registry import Registry
from trackside.model.metrics import MetricType
from trackside.wire import exposition


@pytest.fixture
def theirs(monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    return registry


def ours(registry, name):
    return {tuple(s.labels): s.value for family in registry.collect() if family.name == name for s in family.samples}


def test_their_objects_are_in_our_exposition(theirs):
    prometheus_client.Counter("hits", "Hits.", ["path"], registry=theirs).labels("/").inc(3)
    prometheus_client.Gauge("level", "Level.", registry=theirs).set(2)
    prometheus_client.Info("build", "Build.", registry=theirs).info({"version": "1"})
    prometheus_client.Enum("mode", "Mode.", states=["on", "off"], registry=theirs).state("off")
    prometheus_client.Summary("size", "Size.", registry=theirs).observe(4)
    prometheus_client.Histogram("wait", "Wait.", registry=theirs, buckets=(1, 2)).observe(1.5)
    registry = Registry()
    assert Bridge(registry).connect()
    text = exposition.render(registry.collect()).decode()
    for line in (
        "# TYPE hits_total counter",
        'hits_total{path="/"} 3',
        "level 2",
        'build_info{version="1"} 1',
        'mode{mode="off"} 1',
        "size_sum 4",
        'wait_bucket{le="2.0"} 1',
        "wait_count 1",
    ):
        assert line in text.splitlines()


def test_our_families_are_in_their_registry(theirs):
    registry = Registry()
    registry.counter("orders", "Orders.", ("kind",)).labels("gift").inc(2)
    registry.histogram("wait_seconds", "Wait.", buckets=(1,), unit="seconds").observe(0.5)
    Bridge(registry).connect()
    assert theirs.get_sample_value("orders_total", {"kind": "gift"}) == 2
    assert theirs.get_sample_value("wait_seconds_bucket", {"le": "1.0"}) == 1
    text = prometheus_client.generate_latest(theirs).decode()
    assert 'orders_total{kind="gift"} 2.0' in text
    assert "# TYPE wait_seconds histogram" in text


def test_connecting_again_changes_nothing(theirs):
    registry = Registry()
    registry.gauge("mine").set(1)
    bridge = Bridge(registry)
    prometheus_client.Gauge("yours", "", registry=theirs).set(2)
    for _ in range(3):
        assert bridge.connect()
    text = exposition.render(registry.collect())
    assert (text.count(b"\nmine 1"), text.count(b"\nyours 2")) == (1, 1)
    text = prometheus_client.generate_latest(theirs)
    assert (text.count(b"\nmine 1.0"), text.count(b"\nyours 2.0")) == (1, 1)


def test_two_registries_of_ours_may_be_joined_to_theirs(theirs):
    first, second = Registry(), Registry()
    first.gauge("first").set(1)
    second.gauge("second").set(2)
    Bridge(first).connect()
    Bridge(second).connect()
    assert theirs.get_sample_value("first") == 1
    assert theirs.get_sample_value("second") == 2


def test_the_process_is_shown_once_and_as_they_show_it(theirs):
    prometheus_client.Gauge("process_open_fds", "Theirs.", registry=theirs).set(-1)
    registry = Registry()
    registry.add_collector(process_families)
    Bridge(registry).connect()
    assert ours(registry, "process_open_fds") == {(): -1}
    text = prometheus_client.generate_latest(theirs).decode()
    assert text.count("# TYPE process_open_fds ") == 1
    assert "process_open_fds -1.0" in text
    assert "python_threads" in text


def test_a_name_that_both_have_is_shown_once_by_each_side_as_its_own(theirs):
    prometheus_client.Counter("jobs", "", registry=theirs).inc(5)
    registry = Registry()
    registry.counter("jobs").inc(1)
    Bridge(registry).connect()
    assert ours(registry, "jobs_total") == {(): 1}
    assert prometheus_client.generate_latest(theirs).count(b"\njobs_total ") == 1
    assert theirs.get_sample_value("jobs_total") == 5


def test_a_name_of_ours_is_free_for_the_app_to_register_later(theirs):
    registry = Registry()
    registry.counter("jobs").inc(1)
    Bridge(registry).connect()
    prometheus_client.Counter("jobs", "", registry=theirs).inc(5)
    assert theirs.get_sample_value("jobs_total") == 5


def test_describing_collects_nothing(theirs):
    asked = []
    registry = Registry()
    registry.add_collector(lambda: asked.append(1) or [])
    Bridge(registry).connect()
    assert asked == []


def test_a_broken_collector_of_theirs_leaves_ours_standing(theirs):
    class Broken:
        def describe(self):
            return []

        def collect(self):
            raise RuntimeError

    theirs.register(Broken())
    registry = Registry()
    registry.gauge("mine").set(1)
    Bridge(registry).connect()
    assert ours(registry, "trackside_sdk_errors_total") == {(("where", "collector"),): 1}
    assert ours(registry, "mine") == {(): 1}


def test_exemplars_and_times_come_along(theirs):
    class Custom:
        def describe(self):
            return []

        def collect(self):
            family = CounterMetricFamily("late", "Late.")
            family.add_metric([], 4, timestamp=12.5)
            yield family

    theirs.register(Custom())
    prometheus_client.Counter("traced", "", registry=theirs).inc(1, {"trace_id": "abc"})
    registry = Registry()
    Bridge(registry).connect()
    families = {f.name: f for f in registry.collect()}
    assert families["late_total"].type is MetricType.COUNTER
    assert families["late_total"].samples[0].timestamp_ms == 12_500
    exemplar = families["traced_total"].samples[0].exemplar
    assert exemplar.labels.get("trace_id") == "abc"


def test_an_app_without_the_client_is_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "prometheus_client")
    registry = Registry()
    assert not Bridge(registry).connect()
    assert "prometheus_client" not in sys.modules
    assert registry.collected() == []


def test_a_half_imported_client_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", SimpleNamespace())
    assert not Bridge(Registry()).connect()


def test_with_several_workers_the_files_of_all_are_read(theirs, tmp_path):
    from prometheus_client.mmap_dict import MmapedDict, mmap_key

    for worker, value in ((1, 2.0), (2, 3.0)):
        file = MmapedDict(str(tmp_path / f"counter_{worker}.db"))
        file.write_value(mmap_key("hits", "hits_total", (), (), "Hits."), value, 0.0)
        file.close()
    registry = Registry()
    Bridge(registry, str(tmp_path)).connect()
    assert ours(registry, "hits_total") == {(): 5}
    (tmp_path / "counter_3.db").write_bytes(b"")
    assert ours(registry, "hits_total") in ({(): 5}, {})


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\x10\0\0" + b"\xff" * 4092, id="noise"),
        pytest.param(b"\x40\0\0\0", id="cut off"),
    ],
)
def test_a_file_that_a_killed_worker_left_does_not_hide_the_others(theirs, tmp_path, monkeypatch, damaged):
    code = """
import os, prometheus_client
hits = prometheus_client.Counter("hits", "Hits.", ["path"])
hits.labels("/").inc(2)
prometheus_client.Gauge("level", "Level.", multiprocess_mode="livesum").set(3)
"""
    for _ in range(2):
        environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    (tmp_path / "counter_1.db").write_bytes(damaged)
    (tmp_path / "gauge_livesum_1.db").write_bytes(damaged)
    registry = Registry()
    Bridge(registry, str(tmp_path)).connect()
    for _ in range(2):
        assert list(ours(registry, "hits_total").values()) == [4]
        assert list(ours(registry, "level").values()) == [6]
    assert list(ours(registry, "trackside_sdk_errors_total").values()) == [2]


FORKED = """
import os, shutil, signal, sys, time
from pathlib import Path
directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
import prometheus_client as client
from prometheus_client import core, multiprocess
from trackside import Monitor

hits = client.Counter("hits", "Hits.", ["path"])
wait = client.Histogram("wait", "Wait.", buckets=(1, 2))
size = client.Summary("size", "Size.")
gauges = {mode: client.Gauge(f"level_{mode}", "", multiprocess_mode=mode)
          for mode in ("all", "livesum", "max", "min", "sum", "mostrecent")}
client.Info("build", "Build.").info({"version": "1"})

class Custom:
    def describe(self): return ()
    def collect(self): yield core.GaugeMetricFamily("custom", "", value=3)
client.REGISTRY.register(Custom())

monitor = Monitor("shop", shared=False)
hits.labels("parent").inc()
done = []
for number in (1, 2, 3):
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        hits.labels("child").inc(number)
        wait.observe(number - 0.5)
        size.observe(number)
        for gauge in gauges.values():
            gauge.set(number)
        os.write(tell, b"x")
        if number == 1:
            os._exit(0)
        time.sleep(100)
    os.read(ready, 1)
    done.append(child)
os.waitpid(done[0], 0)
os.kill(done[1], signal.SIGKILL)
os.waitpid(done[1], 0)
multiprocess.mark_process_dead(done[1])

class Merged:
    # As their collector, which takes the files as they come.
    def collect(self):
        return multiprocess.MultiProcessCollector.merge(sorted(map(str, directory.glob("*.db"))))

whole = client.generate_latest(Merged()).decode()
page = monitor.exposition().decode()
print(whole in page, 'hits_total{path="child"} 6.0' in page, "wait_count 3.0" in page)
print("level_livesum 4.0" in page, "level_max 3.0" in page, "custom 3.0" in page, 'build_info{version="1"} 1.0' in page)
print(page.count("# TYPE process_cpu_seconds_total"), page.count("# TYPE python_info"), page.count("# TYPE hits_total"))

parents = directory / f"counter_{os.getpid()}.db"
some = parents.read_bytes()
(directory / "counter_7777777.db").write_bytes(b"")
(directory / "histogram_7777777.db").write_bytes(some[:20])
(directory / "gauge_all_7777777.db").write_bytes(bytes(range(256)) * 16)
(directory / "odd.db").write_bytes(some)
for _ in range(2):
    page = monitor.exposition().decode()
    print(whole in page, 'where="multiprocess file"} 4' in page, 'where="collector"' in page)
shutil.copy(parents, directory / "counter_7777777.db")
print('hits_total{path="parent"} 2.0' in monitor.exposition().decode())
os.kill(done[2], signal.SIGKILL)
"""


def test_forked_workers_are_shown_together_in_the_words_of_the_client(tmp_path):
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FORKED], env=environ, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    shown = ["True True True", "True True True True", "1 1 1", "True True False", "True True False", "True"]
    assert done.stdout.splitlines() == shown
