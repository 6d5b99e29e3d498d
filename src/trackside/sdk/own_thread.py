"""What may take long and is asked for on an event loop, on a thread that nobody else uses and nobody waits for."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

MAX_WAITING = 8
"""Calls. Whoever asks again and again while one hangs is told so."""


class BusyError(Exception):
    """One call hangs, and many wait for it."""


class OwnThread:
    """Runs one call after the other. The thread is there while there are any: it costs nothing in between, and is no
    pool's, which the process would wait for at its end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()

    def _begin(self) -> None:
        self._process_id = os.getpid()
        self._lock = Lock()
        self._calls: deque[_Call] = deque()
        self._is_running = False

    async def call(self, function: Callable[[], T]) -> T:
        """
        Raises:
            BusyError: too many wait already.
        """
        call = _Call(function)
        self._hand_over(call)
        answer: T = await call.answer
        return answer

    def _hand_over(self, call: _Call) -> None:
        if self._process_id != os.getpid():  # a fork copies what waits, but not the thread
            self._begin()
        with self._lock:
            if len(self._calls) >= MAX_WAITING:
                raise BusyError("a call hangs, and others wait for it")
            self._calls.append(call)
            if self._is_running:
                return
            self._is_running = True
        try:
            Thread(target=self._run, name=self._name, daemon=True).start()
        except Exception:  # noqa: BLE001 - the system has none to give: most calls are quick, and are wanted just then
            self._run()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._is_running = False
                    return
                call = self._calls.popleft()
            call.run()


class _Call:
    """Made on the loop that waits for its answer."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        if self.answer.cancelled():
            return
        result: object = None
        error: Exception | None = None
        try:
            result = self._function()
        except Exception as raised:  # noqa: BLE001 - it is raised where it was asked for
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._tell, result, error)

    def _tell(self, result: object, error: Exception | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(error)
