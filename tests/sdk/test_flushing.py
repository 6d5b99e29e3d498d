import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from trackside import Monitor
from trackside.sdk.flushing import Flushing


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def flushing(monitor):
    return Flushing.of(monitor.context)


def test_all_are_flushed_side_by_side_in_one_time(monitor, flushing):
    release = threading.Event()
    for _ in range(4):
        flushing.add(lambda timeout_s: release.wait(60))
    flushed = threading.Event()
    flushing.add(lambda timeout_s: flushed.set() or True)
    began_s = time.monotonic()
    assert not monitor.flush(1)
    # One after the other, the four take four seconds.
    assert time.monotonic() - began_s < 3.8
    assert flushed.wait(60)
    release.set()
    assert monitor.flush(60)


def failing(timeout_s):
    raise OSError("odd")


@pytest.mark.parametrize("part", [failing, lambda timeout_s: False], ids=["raises", "says no"])
def test_one_that_fails_is_told_and_keeps_none_from_being_flushed(monitor, flushing, part):
    given = []
    flushing.add(part)
    flushing.add(lambda timeout_s: given.append(timeout_s) or True)
    assert not monitor.flush(62.5)
    assert given == [62.5]


def test_without_a_thread_nothing_is_flushed_and_nothing_raised(monitor, flushing, no_threads):
    flushing.add(lambda timeout_s: True)
    assert not monitor.flush(60)
    no_threads.undo()
    assert monitor.flush(60)


def test_a_monitor_that_is_gone_leaves_no_thread(monitor, flushing, started_threads):
    other = Monitor("other", environ={})
    Flushing.of(other.context).add(lambda timeout_s: True)
    assert started_threads
    del other
    until_s = time.monotonic() + 60
    while any(thread.is_alive() for thread in started_threads) and time.monotonic() < until_s:
        gc.collect()
        time.sleep(0.005)
    assert not any(thread.is_alive() for thread in started_threads)


def test_a_child_process_flushes_what_is_its_own(monitor, flushing, tmp_path):
    flushing.add(lambda timeout_s: bool((tmp_path / str(os.getpid())).write_text("")) or True)
    child = os.fork()
    if child == 0:
        os._exit(0 if monitor.flush(60) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [file.name for file in tmp_path.iterdir()] == [str(child)]


def test_what_others_do_at_exit_comes_after():
    code = """
import atexit
from trackside import Monitor
from trackside.sdk.flushing import Flushing
flushing = Flushing.of(Monitor(environ={}).context)
flushing.add(lambda timeout_s: print("first") or True)
atexit.register(print, "a client's own")
flushing.add(lambda timeout_s: True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["first", "a client's own"]
