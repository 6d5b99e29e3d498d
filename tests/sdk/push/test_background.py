import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from trackside.sdk.push.background import RETRY_S, Background


class Sender:
    """Sends nothing, and knows what it was asked to."""

    def __init__(self, wait_s=60.0):
        self.rounds, self.failures, self.waiting = [], [], True
        self.wait_for_s = wait_s
        self.in_round = lambda: None
        self.background = Background(self, "test-sender")

    def round(self, *, at_once=False):
        self.rounds.append(at_once)
        self.in_round()

    def wait_s(self):
        return self.wait_for_s

    def holds(self):
        return self.waiting

    def failed(self, error):
        self.failures.append(error)

    def in_child(self, *, ran):
        self.rounds.clear()
        self.ran_in_parent = ran


@pytest.fixture
def sender():
    made = Sender()
    yield made
    made.background.end()


def test_a_thread_that_cannot_be_had_is_tried_for_again_later(sender, no_threads):
    assert not sender.background.start()
    assert not sender.background.is_running
    assert [str(error) for error in sender.failures] == ["can't start new thread"]
    # Not at once: each try costs, and lines of a log come by the thousand.
    assert not sender.background.start()
    assert len(sender.failures) == 1
    no_threads.undo()
    assert not sender.background.start()
    sender.background._now.not_before_s -= RETRY_S
    assert sender.background.start()
    assert sender.background.flush(60)


def test_a_flush_without_a_thread_is_no_success_and_tries_for_one(sender, no_threads):
    began_s = time.monotonic()
    assert not sender.background.flush(60)
    assert time.monotonic() - began_s < 30
    no_threads.undo()
    assert sender.background.flush(60)
    assert sender.rounds == [True]


def test_what_is_said_about_a_failed_start_does_not_wait_for_that_start(sender, no_threads):
    # As a line of a log does that is to be sent itself.
    sender.failed = lambda error: sender.failures.append(error) or sender.background.start()
    assert not sender.background.start()
    assert len(sender.failures) == 1


def test_one_round_that_raises_is_not_the_last(sender):
    def in_round():
        raise ValueError("odd")

    sender.in_round = in_round
    sender.background.start()
    assert sender.background.flush(60)
    assert sender.background.flush(60)
    assert [str(error) for error in sender.failures] == ["odd", "odd"]


def test_nothing_to_send_needs_no_thread(sender):
    sender.waiting = False
    assert sender.background.flush(60)
    assert not sender.background.is_running


def test_what_is_asked_for_is_done_before_the_end(sender):
    release = threading.Event()
    sender.in_round = lambda: release.wait(60)
    sender.background.start()
    wait = sender.background.ask()
    sender.background.end()
    release.set()
    assert wait(time.monotonic() + 60)
    assert sender.rounds == [True]
    until_s = time.monotonic() + 60
    while sender.background.is_running and time.monotonic() < until_s:
        time.sleep(0.005)
    assert not sender.background.is_running
    assert not sender.background.start()


@pytest.mark.parametrize(("waiting", "freed"), [(False, True), (True, False)], ids=["idle", "with something to send"])
def test_its_thread_keeps_a_sender_alive_only_for_what_waits(waiting, freed):
    sender = Sender(wait_s=0.01)
    sender.waiting = waiting
    background, reference = sender.background, weakref.ref(sender)
    background.start()
    del sender
    until_s = time.monotonic() + (60 if freed else 0.1)
    while (background.is_running or reference() is not None) and time.monotonic() < until_s:
        gc.collect()
        time.sleep(0.005)
    assert (reference() is None) == freed
    assert background.is_running != freed
    background.end()


def test_what_is_held_is_tried_though_nobody_has_the_sender_any_more():
    sender = Sender(wait_s=0.05)
    rounds, sender.waiting = sender.rounds, False
    sender.background.start()
    sender.background.hold(sender)
    del sender
    gc.collect()
    until_s = time.monotonic() + 60
    while not rounds and time.monotonic() < until_s:
        time.sleep(0.005)
    assert rounds


def test_a_child_process_begins_anew(sender, tmp_path):
    assert sender.background.flush(60)
    child = os.fork()
    if child == 0:
        try:
            alive = sender.background.is_running
            done = sender.background.flush(60)
            (tmp_path / "said").write_text(f"{sender.ran_in_parent} {alive} {done} {sender.rounds}")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "said").read_text() == "True False True [True]"
    assert sender.background.is_running


def test_a_process_waits_for_silent_receivers_once_and_not_for_each():
    code = """
import socket, logging, time, os
from trackside import Monitor
silent = socket.create_server(("127.0.0.1", 0), backlog=50)
url = f"http://127.0.0.1:{silent.getsockname()[1]}"
monitor = Monitor("shop", environ={"TRACKSIDE_URL": url, "LOKI_URL": url, "PROMETHEUS_REMOTE_WRITE_URL": url})
monitor.logs()
monitor.counter("a_total").inc()
with monitor.job("resize"):
    logging.getLogger("x").info("m")
began_s = time.monotonic()
monitor.flush(2)
# One after the other, the three take six seconds.
assert time.monotonic() - began_s < 5.5, time.monotonic() - began_s
import sys; print(time.monotonic(), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    ended_s = time.monotonic()
    assert done.returncode == 0, done.stderr
    # One after the other, nine.
    assert ended_s - float(done.stderr.splitlines()[-1]) < 8.5
