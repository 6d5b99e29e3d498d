"""A child counts, whatever another thread of its parent was doing at the fork."""

import gc
import os
import signal
from threading import Event, Thread

import pytest

from trackside.instruments import forks
from trackside.instruments.registry import Registry


def exit_code(work):
    """Of a forked process that does `work`, and does not hang."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("fork_waits_s", "held_s"), [pytest.param(1.0, 0.1, id="for a moment"), pytest.param(0.02, 0.4, id="for long")]
)
def test_a_child_counts_though_another_thread_had_the_lock(monkeypatch, fork_waits_s, held_s):
    monkeypatch.setattr(forks, "_TIMEOUT_S", fork_waits_s)
    registry = Registry()
    counter, held, ended = registry.counter("c", labels=("x",)), Event(), Event()

    def hold():
        with registry.lock:
            held.set()
            ended.wait(held_s)

    def work():
        counter.labels("a").inc()
        assert counter.rows() == [(("a",), (1.0,))]

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    assert exit_code(work) == 0
    ended.set()
    thread.join()
    counter.labels("b").inc()
    assert counter.rows() == [(("b",), (1.0,))]
    # Another thread gets it too: nothing is held on to.
    thread = Thread(target=counter.labels("b").inc)
    thread.start()
    thread.join(60)
    assert counter.rows() == [(("b",), (2.0,))]


def test_a_child_of_a_child_counts_too():
    counter = Registry().counter("c")
    assert exit_code(lambda: (counter.inc(), os._exit(exit_code(counter.inc)))) == 0


def test_registries_that_are_gone_are_forgotten():
    # By itself: those of earlier tests go when memory is collected.
    registry = Registry()
    lock = registry.lock
    assert any(one is lock for one in forks._forks._locks())
    del registry
    gc.collect()
    assert not any(one is lock for one in forks._forks._locks())
