"""Several processes of one application: one of them pushes what all have counted."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

PROGRAM = """
import os, sys, threading, time
from trackside import Monitor
monitor = Monitor("shop", environ={{}})
orders = monitor.counter("orders_total", labels=("by",))
rounds = monitor.gauge("rounds", mode="max")
leads = monitor.registry.leads

def go_on(who):
    for number in range(4_000):
        orders.labels(who).inc()
        rounds.set(number)
        print(os.getpid(), leads(), flush=True)
        time.sleep(0.05)

if {early}:
    monitor.push(sys.argv[1], interval_s=0.1, instance={instance!r})
if not os.fork():
    {late}
    go_on("child")
    os._exit(0)
{late}
go_on("parent")
"""


def latest(receiver):
    """{who: the last value}, the instances, and how often a series was sent for one moment."""
    values, instances, times = {}, set(), Counter()
    for _, _, request in list(receiver.requests):
        for series in request.series:
            labels = dict(series.labels.pairs)
            instances.add(labels["instance"])
            for sample in series.samples:
                times[series.labels, sample.timestamp_ms] += 1
                if labels["__name__"] == "orders_total":
                    values[labels["by"]] = sample.value
    return values, instances, max(times.values(), default=0)


def wait(receiver, enough):
    until = time.monotonic() + 80
    while time.monotonic() < until:
        if enough(latest(receiver)[0]):
            return
        time.sleep(0.02)
    pytest.fail(f"{latest(receiver)} was all that arrived")


@pytest.mark.parametrize(
    ("early", "instance"),
    [
        pytest.param(True, "", id="pushing before the fork"),
        pytest.param(False, "", id="after it"),
        pytest.param(True, "web-1", id="under a name"),
        pytest.param(False, "web-1", id="under a name after it"),
    ],
)
def test_one_pushes_for_all_and_another_takes_over_when_it_dies(receiver, early, instance):
    late = "" if early else f"monitor.push(sys.argv[1], interval_s=0.1, instance={instance!r})"
    code = PROGRAM.format(early=early, late=late or "pass", instance=instance)
    process = subprocess.Popen([sys.executable, "-c", code, receiver.url], stdout=subprocess.PIPE, text=True)
    pids = {process.pid}
    try:
        wait(receiver, lambda values: {"child", "parent"} <= set(values) and min(values.values()) > 3)
        leading = set()
        while len(pids) < 2 or not leading:
            pid, leads = process.stdout.readline().split()
            pids.add(int(pid))
            if leads == "True":
                leading.add(int(pid))
        assert len(leading) == 1
        os.kill(*leading, signal.SIGKILL)
        survivor = "child" if leading == {process.pid} else "parent"
        dead = {"child": "parent", "parent": "child"}[survivor]
        before, requests = latest(receiver)[0], len(receiver.requests)
        wait(receiver, lambda values: values[survivor] > before[survivor] + 5)
        values, instances, most = latest(receiver)
        assert len(receiver.requests) > requests
        # What the dead one has counted is sent on, by whoever is left, and under the name that it was sent before.
        assert values[dead] >= before[dead]
        assert instances == {instance or f"{os.uname().nodename}:{process.pid}"}
        assert most == 1
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
