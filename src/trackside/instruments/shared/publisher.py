"""The thread that tells other processes from time to time what only this one can ask."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

INTERVAL_S = 3.0
FIRST_S = 0.2
"""Until the first time: a process that was forked for a moment needs none."""
_STOP_TIMEOUT_S = 1.0


class Publisher:
    def __init__(self, publish: Callable[[], None]) -> None:
        """`publish` does not raise."""
        self._publish = publish
        self._stopped = Event()
        self._thread: Thread | None = None
        self._is_wanted = False

    def start(self) -> None:
        """Any number of times. Never raises: where no thread can be had, `again` gets one later."""
        self._is_wanted = True
        self.again()

    def again(self) -> None:
        if self._thread is not None or not self._is_wanted:
            return
        stopped = Event()
        thread = Thread(target=self._run, args=(stopped,), name="trackside-publish", daemon=True)
        # Before it runs: it may be stopped at once.
        self._stopped, self._thread = stopped, thread
        try:
            thread.start()
        except Exception:  # noqa: BLE001 - the system has none to give, or the interpreter ends
            self._thread = None

    def stop(self) -> None:
        """And wait for it: a process is forked with no thread of ours in the middle of something."""
        thread, self._thread, self._is_wanted = self._thread, None, False
        self._stopped.set()
        if thread is not None:
            thread.join(_STOP_TIMEOUT_S)

    def _run(self, stopped: Event) -> None:
        wait_s = FIRST_S
        while not stopped.wait(wait_s):
            self._publish()
            wait_s = INTERVAL_S
