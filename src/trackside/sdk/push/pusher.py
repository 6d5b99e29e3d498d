"""The thread that pushes: it reads the registry every so often, and sends what it read until somebody takes it."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock

from trackside.instruments.registry import Registry
from trackside.sdk.families.maker import Maker
from trackside.sdk.guard import Guard
from trackside.sdk.push.background import Background, Wait
from trackside.sdk.push.destination import Destination
from trackside.sdk.push.encoding import Encoding
from trackside.sdk.push.outbox import Outbox
from trackside.sdk.push.transport import Post, post

INTERVAL_S = 15.0
FIRST_S = 2.0
"""Until the first push: a new process shows itself soon, and one that was forked for a moment does not."""
_FORK_TIMEOUT_S = 1.0


class Pusher:
    """One for a monitor. Nothing here raises, and nothing but what `ask` returns waits for the network."""

    def __init__(
        self,
        registry: Registry,
        guard: Guard,
        job: str,
        *,
        instance: str = "",
        interval_s: float = INTERVAL_S,
        post: Post = post,
    ) -> None:
        """`job` and `instance` are labels of all that is sent. The instance is this process unless it is given: two
        processes that pushed as one would overwrite each other. Where cells are shared one of the processes pushes for
        all, and it is the one that they all come from: whoever takes over goes on with the same series."""
        self.interval_s = interval_s
        self.instance = instance
        self.native_histograms = False
        """Whether they are sent with their buckets. Set before the first push."""
        self._registry = registry
        self._guard = guard
        self._job = job
        self._post = post
        self._requests = Maker(registry, guard).counter(
            "trackside_push_requests_total",
            "Requests that pushed metrics: sent, refused for good, failed and tried again, dropped for want of room.",
            ("destination", "outcome"),
        )
        self._outboxes: list[Outbox] = []
        self._owner = os.getpid()
        self._now = _Process(self._owner)
        self._background = Background(self, "trackside-push")
        self._registered = False

    @property
    def destinations(self) -> list[Destination]:
        return [outbox.destination for outbox in self._outboxes]

    def add(self, destinations: Iterable[Destination]) -> None:
        for destination in destinations:
            if destination not in self.destinations:
                count = partial(self._count, destination.name)
                self._outboxes = [*self._outboxes, Outbox(destination, count)]

    def start(self) -> None:
        """Any number of times."""
        if self._outboxes:
            self._register()
            self._background.start()

    def ask(self) -> Wait:
        """Send what there is now. What is returned waits for that."""
        return self._background.ask()

    def stop(self) -> None:
        """For good, in this process: what somebody else reports is not pushed from here."""
        self._background.end()

    def round(self, now_s: float | None = None, *, at_once: bool = False) -> None:
        """Read the registry if that is due (or at once), and send."""
        process = self._now
        now_s = time.monotonic() if now_s is None else now_s
        if at_once or process.due_s is None or now_s >= process.due_s:
            process.due_s = now_s + self.interval_s
            with self._guard.shielded("read the metrics to push"):
                for message in self._messages(process) if self._leads() else ():
                    for outbox in self._outboxes:
                        outbox.add(message)
        for outbox in self._outboxes:
            trouble = outbox.ship(self._post, time.monotonic, at_once=at_once)
            if trouble is not None:
                self._guard.failed(f"push metrics to {outbox.destination.name}", PushError(trouble.reason))

    def wait_s(self) -> float:
        process, now_s = self._now, time.monotonic()
        if process.due_s is None:
            process.due_s = now_s + min(FIRST_S, self.interval_s)
        waiting = [outbox.not_before_s for outbox in self._outboxes if len(outbox)]
        return max(0.05, min([process.due_s, *waiting]) - now_s)

    def holds(self) -> bool:
        # There is always a registry to read: an application may have kept its counters only.
        return bool(self._outboxes)

    def failed(self, error: Exception) -> None:
        self._guard.failed("push metrics", error)

    def in_child(self, *, ran: bool) -> None:
        """The child begins anew, under its own name."""
        self._now = _Process(os.getpid())
        for outbox in self._outboxes:
            outbox.clear()
        if ran:
            self.start()

    def _messages(self, process: _Process) -> list[bytes]:
        with process.reading:
            if process.encoding is None:
                labels = {"job": self._job, "instance": self._named(process)}
                process.encoding = Encoding(self._registry, labels, native_histograms=self.native_histograms)
            return process.encoding.messages(int(time.time() * 1000))

    def _leads(self) -> bool:
        """Where cells are shared each process shows those of all: one of them pushes."""
        return self._registry.leads()

    def _named(self, process: _Process) -> str:
        if self.instance and (process.id == self._owner or self._registry.is_shared):
            return self.instance
        instance, process_id = self.instance or os.uname().nodename, self._registry.process_id
        return f"{instance}:{process_id}" if process_id else instance

    def _count(self, destination: str, outcome: str) -> None:
        self._requests.labels(destination, outcome).inc()

    def _register(self) -> None:
        if self._registered:
            return
        self._registered = True
        mine = weakref.ref(self)
        os.register_at_fork(
            before=_called(mine, Pusher._before_fork), after_in_parent=_called(mine, Pusher._after_fork)
        )

    def _before_fork(self) -> None:
        # A child that was forked while the thread read the registry would find its lock taken by a thread it has not.
        self._now.held = self._now.reading.acquire(timeout=_FORK_TIMEOUT_S)

    def _after_fork(self) -> None:
        if self._now.held:
            self._now.reading.release()


class _Process:
    """What a fork does not hand on."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.reading = Lock()
        self.held = False
        self.due_s: float | None = None
        self.encoding: Encoding | None = None


class PushError(Exception):
    """What a receiver, or the way to it, had against a push."""


def _called(reference: weakref.ref[Pusher], method: Callable[[Pusher], object]) -> Callable[[], None]:
    """Hooks of a process cannot be taken back: they do not keep the monitor of a finished test alive."""

    def call() -> None:
        pusher = reference()
        if pusher is not None:
            method(pusher)

    return call
