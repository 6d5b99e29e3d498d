import os
import subprocess
import sys
import threading
import time

import pytest

from trackside import Monitor
from trackside.instruments.registry import Registry
from trackside.sdk.guard import Guard
from trackside.sdk.push.destination import Destination
from trackside.sdk.push.pusher import Pusher
from trackside.sdk.push.transport import Outcome


@pytest.fixture
def new_monitor(receiver):
    """A monitor that pushes to the receiver; stopped at the end, so that its thread does not outlive the test."""
    made = []

    def new(**environ):
        monitor = Monitor("shop", environ={"PROMETHEUS_REMOTE_WRITE_URL": receiver.url, **environ})
        made.append(monitor)
        return monitor

    yield new
    for monitor in made:
        if monitor._pusher is not None:
            monitor._pusher.stop()


@pytest.fixture
def new_pusher():
    made = []

    def new(post, **options):
        registry = Registry()
        registry.counter("a_total").inc()
        pusher = Pusher(registry, Guard(registry.count_error), "shop", post=post, **options)
        pusher.add([Destination("x", "http://x")])
        made.append(pusher)
        return pusher, registry

    yield new
    for pusher in made:
        pusher.stop()


def outcomes(registry):
    return {
        sample.labels.get("outcome"): sample.value
        for family in registry.collect()
        if family.name == "trackside_push_requests_total"
        for sample in family.samples
    }


def test_the_variables_are_enough(receiver, new_monitor):
    monitor = new_monitor(PROMETHEUS_REMOTE_WRITE_USERNAME="u", PROMETHEUS_REMOTE_WRITE_PASSWORD="p")
    monitor.counter("orders_total").inc(3)
    assert monitor.flush()
    assert receiver.values("orders_total") == {f"{os.uname().nodename}:{os.getpid()}": 3}
    _, headers, request = receiver.requests[0]
    assert headers["Authorization"].startswith("Basic ")
    assert {series.labels.get("job") for series in request.series} == {"shop"}


def test_the_server_gets_them_with_its_key_when_it_was_asked_for(receiver):
    monitor = Monitor("shop", environ={"TRACKSIDE_URL": receiver.url, "TRACKSIDE_KEY": "secret"})
    monitor.push()
    monitor.counter("orders_total").inc()
    monitor.flush()
    monitor._pusher.stop()
    path, headers, _ = receiver.requests[0]
    assert (path, headers["Authorization"]) == ("/api/v1/write", "Bearer secret")


def test_where_the_server_is_says_nothing_of_pushing_to_it(receiver):
    """It may scrape the application: what came twice would be counted twice."""
    monitor = Monitor("shop", environ={"TRACKSIDE_URL": receiver.url, "TRACKSIDE_KEY": "secret"})
    monitor.counter("orders_total").inc()
    assert monitor.flush()
    assert receiver.requests == []


def test_push_names_a_receiver_in_the_code(receiver):
    monitor = Monitor("shop", environ={})
    monitor.push(receiver.url, instance="web-1", interval_s=3600)
    monitor.counter("orders_total").inc()
    assert monitor.flush()
    monitor._pusher.stop()
    assert receiver.values("orders_total") == {"web-1": 1}


def test_it_is_repeated_by_itself(receiver):
    monitor = Monitor("shop", environ={})
    counter = monitor.counter("orders_total")
    monitor.push(receiver.url, interval_s=0.05)
    receiver.wait_for(1)
    counter.inc()
    for count in range(2, 200):
        receiver.wait_for(count)
        if set(receiver.values("orders_total").values()) == {1}:
            break
    else:
        pytest.fail("the number that changed was not sent")
    monitor._pusher.stop()


def test_without_a_receiver_there_is_no_thread(started_threads):
    monitor = Monitor("shop", environ={})
    monitor.counter("orders_total").inc()
    assert monitor.flush()
    assert not started_threads


def test_a_monitor_that_is_not_used_pushes_nothing(receiver, new_monitor):
    assert not new_monitor()._pusher._background.is_running


def test_off_means_off(receiver):
    off = Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false", "PROMETHEUS_REMOTE_WRITE_URL": receiver.url})
    off.counter("orders_total").inc()
    off.push(receiver.url)
    assert off.flush()
    assert off._pusher is None


def test_a_variable_that_is_no_url_is_told_and_nothing_else_happens(caplog):
    monitor = Monitor("shop", environ={"PROMETHEUS_REMOTE_WRITE_URL": "prometheus:9090"})
    monitor.counter("orders_total").inc()
    assert "expected an address such as" in caplog.text
    with pytest.raises(ValueError, match="expected an address"):
        monitor.push("prometheus:9090")


def test_pushing_to_nowhere_is_refused_with_what_to_set(receiver, new_monitor):
    for environ in ({}, {"PROMETHEUS_REMOTE_WRITE_URL": "prometheus:9090"}):
        with pytest.raises(ValueError, match="PROMETHEUS_REMOTE_WRITE_URL or TRACKSIDE_URL in the environment"):
            Monitor("shop", environ=environ).push()
    new_monitor().push()
    Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false"}).push()


def test_without_a_thread_the_application_runs_on_and_is_pushed_later(receiver, new_monitor, no_threads):
    monitor = new_monitor()
    monitor.counter("orders_total").inc()
    assert not monitor.flush()
    no_threads.undo()
    assert monitor.flush()
    assert list(receiver.values("orders_total").values()) == [1]


def test_a_round_is_due_every_interval(new_pusher):
    sent = []
    pusher, registry = new_pusher(lambda destination, body: sent.append(body) or Outcome(True), interval_s=10)
    for now_s, count in ((100, 1), (101, 1), (109.9, 1), (110, 2), (500, 3)):
        pusher.round(now_s)
        assert len(sent) == count
    assert outcomes(registry) == {"sent": 3}


def test_a_receiver_in_trouble_is_counted_and_logged_once(new_pusher, caplog):
    pusher, registry = new_pusher(lambda destination, body: Outcome(False, False, "401 who are you"))
    for now_s in (100, 200, 300):
        pusher.round(now_s)
    assert outcomes(registry) == {"refused": 3}
    assert caplog.text.count("failed to push metrics to x: PushError('401 who are you')") == 1


def test_a_registry_that_cannot_be_read_stops_nothing(new_pusher):
    sent = []
    pusher, _ = new_pusher(lambda destination, body: sent.append(body) or Outcome(True))
    pusher._now.encoding = "broken"
    pusher.round(100)
    pusher._now.encoding = None
    pusher.round(200)
    assert len(sent) == 1


def test_a_receiver_that_hangs_holds_up_nobody(new_pusher):
    hanging, release = threading.Event(), threading.Event()

    def post(destination, body):
        hanging.set()
        release.wait(60)
        return Outcome(True)

    pusher, registry = new_pusher(post)
    began_s = time.monotonic()
    assert not pusher._background.flush(0.1)
    registry.counter("orders_total").inc()
    assert time.monotonic() - began_s < 30
    assert hanging.wait(60)
    release.set()
    assert pusher._background.flush(60)


def program(receiver, text):
    """Run in a process of its own, as an application."""
    code = f"""
import os, sys, threading, time
from trackside import Monitor
from trackside.sdk.push import background
# So long may its last numbers take here.
background.EXIT_TIMEOUT_S = 60
monitor = Monitor("shop", environ={{"PROMETHEUS_REMOTE_WRITE_URL": {receiver.url!r}}})
orders = monitor.counter("orders_total")
orders.inc()
{text}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_that_ends_sends_its_last_numbers(receiver):
    program(receiver, "")
    assert list(receiver.values("orders_total").values()) == [1]


def test_a_process_does_not_hang_at_its_end_when_nobody_answers():
    environ = {"PROMETHEUS_REMOTE_WRITE_URL": "http://127.0.0.1:9"}
    code = f"""
import time
from trackside import Monitor
from trackside.sdk.push import background
# What it would wait for an answer that does not come.
background.EXIT_TIMEOUT_S = 60
Monitor(environ={environ}).counter("a_total").inc()
print(time.monotonic())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    ended_s = time.monotonic()
    assert done.returncode == 0
    assert "refused" in done.stderr
    assert ended_s - float(done.stdout) < 30


def test_what_a_child_counts_its_parent_pushes(receiver):
    program(
        receiver,
        """
monitor.flush(60)
child = os.fork()
if child == 0:
    orders.inc(10)
    monitor.flush(60)
    os._exit(0)
os.waitpid(child, 0)
orders.inc()
""",
    )
    assert sorted(receiver.values("orders_total").values()) == [12]


def test_forks_while_it_reads_leave_no_lock_behind(receiver):
    program(
        receiver,
        """
monitor.push(interval_s=0.001)
gauge = monitor.gauge("g", labels=("n",))
for n in range(1500):
    gauge.labels(n).set(n)
for _ in range(30):
    time.sleep(0.003)
    child = os.fork()
    if child == 0:
        orders.inc()
        gauge.labels("child").set(1)
        os._exit(0 if monitor.exposition() else 1)
    assert os.waitpid(child, 0)[1] == 0
""",
    )
