"""A thread that sends what waits: started when it is needed and can be had, left behind by forks, flushed at exit."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Protocol

from trackside.sdk.forked import begin_anew_in_child

EXIT_TIMEOUT_S = 3.0
"""For all that is sent from this process together, when it ends."""
RETRY_S = 5.0
"""After a thread could not be had: where the system has none to give, each attempt costs."""

Wait = Callable[[float], bool]
"""Until that moment of the monotonic clock. Whether all was tried by then; it may not have been taken."""


class Sends(Protocol):
    """Whoever has something to send. One thread calls it, and does not keep it alive while nothing waits."""

    def round(self, *, at_once: bool = False) -> None:
        """Send what is due; `at_once` all there is, though a receiver has asked for patience."""

    def wait_s(self) -> float:
        """Until the next round is due."""

    def holds(self) -> bool:
        """Whether there is something to send."""

    def failed(self, error: Exception) -> None:
        """A round, or the start of the thread. Does not raise."""

    def in_child(self, *, ran: bool) -> None:
        """This process was forked from one that sends what waited there; `ran`: it had begun to."""


class Background:
    """The thread of one sender."""

    def __init__(self, sender: Sends, name: str) -> None:
        self._sender = weakref.ref(sender, self._gone)
        self._name = name
        self._now = _Now()

    @property
    def is_running(self) -> bool:
        return self._now.thread is not None

    def start(self, *, at_once: bool = False) -> bool:
        """Any number of times, from any thread. Whether it runs; if not, the next call tries again after a while, or
        `at_once`. Never raises: a thread is what a system in trouble, or an interpreter that ends, has none of."""
        now = self._now
        if now.thread is not None:
            return True
        if now.is_over or (monotonic() < now.not_before_s and not at_once):
            return False
        # Whoever comes while another one starts it goes on: a signal handler that logs must not wait for itself.
        if not now.starting.acquire(blocking=False):
            return False
        error = None
        try:
            self._start(now)
        except Exception as raised:  # noqa: BLE001 - see above
            now.thread, now.not_before_s, error = None, monotonic() + RETRY_S, raised
        finally:
            now.starting.release()
        sender = self._sender()
        # Not while it is starting: it may be logged, and the line be what is to be sent.
        if error is not None and sender is not None:
            sender.failed(error)
        return error is None

    def hold(self, sender: Sends) -> None:
        """Something waits from now on: keep the sender alive for that."""
        self._now.kept = sender
        self.start()

    def ask(self) -> Wait:
        """Have all tried at once that is there now. What is returned waits for that."""
        sender = self._sender()
        if self._now.thread is None:
            if sender is None or not sender.holds():
                return _nothing_to_wait_for
            if not self.start(at_once=True):
                return _in_vain
        return self._now.ask()

    def flush(self, timeout_s: float) -> bool:
        return self.ask()(monotonic() + timeout_s)

    def end(self) -> None:
        """After what is asked for. For good, in the processes forked from here too."""
        self._now.end()

    def in_child(self) -> None:
        before, self._now = self._now, _Now()
        self._now.is_over = before.is_over
        sender = self._sender()
        if sender is not None:
            sender.in_child(ran=before.thread is not None)

    def _gone(self, reference: object) -> None:
        # The thread need not wait for its next round to see it. But nothing waits here: this may be in the middle of
        # anything, whenever memory is collected.
        self._now.end(blocking=False)

    def _start(self, now: _Now) -> None:
        if now.thread is None:
            _PROCESS.add(self)
            now.thread = Thread(target=self._loop, args=(now,), name=self._name, daemon=True)
            now.thread.start()

    def _loop(self, now: _Now) -> None:
        try:
            wait_s = self._pause_s(now)
            while wait_s is not None and now.wait_for_work(wait_s):
                self._round(now)
                wait_s = self._pause_s(now)
        finally:
            now.thread = now.kept = None
            now.answer(now.asked)

    def _round(self, now: _Now) -> None:
        sender, asked = self._sender(), now.asked
        if sender is not None:
            try:
                sender.round(at_once=asked > now.answered)
            except Exception as error:  # noqa: BLE001 - a thread that ends would send nothing ever again
                sender.failed(error)
        now.answer(asked)

    def _pause_s(self, now: _Now) -> float | None:
        """Until the next round; None when there is no sender any more."""
        sender = self._sender()
        if sender is None:
            return None
        # In this order: what is added meanwhile is seen, or held by who adds it.
        now.kept = None
        if sender.holds():
            now.kept = sender
        return sender.wait_s()


class _Now:
    """What a fork does not hand on."""

    def __init__(self) -> None:
        self.thread: Thread | None = None
        self.kept: Sends | None = None
        """The sender, while something waits."""
        self.starting = Lock()
        self.not_before_s = 0.0
        self.condition = Condition()
        self.asked = self.answered = 0
        self.is_over = False

    def wait_for_work(self, wait_s: float) -> bool:
        with self.condition:
            if self.asked == self.answered and not self.is_over:
                self.condition.wait(wait_s)
            return self.asked > self.answered or not self.is_over

    def ask(self) -> Wait:
        with self.condition:
            self.asked += 1
            self.condition.notify_all()
            return partial(self.wait, self.asked)

    def answer(self, asked: int) -> None:
        with self.condition:
            self.answered = max(self.answered, asked)
            self.condition.notify_all()

    def wait(self, asked: int, until_s: float) -> bool:
        with self.condition:
            while self.answered < asked and (left_s := until_s - monotonic()) > 0:
                self.condition.wait(left_s)
            return self.answered >= asked

    def end(self, *, blocking: bool = True) -> None:
        self.is_over = True
        if self.condition.acquire(blocking):
            try:
                self.condition.notify_all()
            finally:
                self.condition.release()


class _Process:
    """All that sends from this process, and is asked for what it holds when that ends. Keeps nothing alive."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Background] = weakref.WeakSet()
        self._is_hooked = False

    def add(self, background: Background) -> None:
        self._all.add(background)
        begin_anew_in_child(background)
        if not self._is_hooked:
            self._is_hooked = True
            atexit.register(self._at_exit)

    def come_first(self) -> None:
        if self._is_hooked:
            # What is registered last is called first.
            atexit.unregister(self._at_exit)
            atexit.register(self._at_exit)

    def _at_exit(self) -> None:
        # Side by side: all are asked before any is waited for.
        until_s = monotonic() + EXIT_TIMEOUT_S
        all_tried([background.ask() for background in self._alive()], until_s)

    def _alive(self) -> list[Background]:
        while True:
            try:
                return list(self._all)
            except RuntimeError:
                # Another thread has just started one.
                continue


def all_tried(waits: Iterable[Wait], until_s: float) -> bool:
    """Each is waited for, whatever became of the others."""
    done = True
    for wait in waits:
        done = wait(until_s) and done
    return done


def come_first_at_exit() -> None:
    """Before the hooks that others have registered by now: while we wait, what they will wait for goes on."""
    _PROCESS.come_first()


def _nothing_to_wait_for(until_s: float) -> bool:
    return True


def _in_vain(until_s: float) -> bool:
    return False


_PROCESS = _Process()
