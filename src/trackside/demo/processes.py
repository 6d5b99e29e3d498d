"""The demo's processes: started, started again when one dies, and stopped together."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

RESTART_AFTER_S = 1.0
GRACE_S = 8.0
_others = cycle(random.sample(range(10_000, 20_000), 10_000))


@dataclass(slots=True)
class Child:
    name: str
    arguments: Sequence[str]
    """After the Python interpreter."""
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    starts: int = 0


class Processes:
    """Children whose output goes to files, and whose unexpected end is told and mended."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._children: list[Child] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self, child: Child) -> None:
        self._children.append(child)
        await self._spawn(child)
        self._tasks.append(asyncio.create_task(self._keep_running(child)))

    def has_died(self, name: str) -> bool:
        """Whether the process of this name ended by itself at least once."""
        return any(
            child.starts > 1 or (child.process is not None and child.process.returncode is not None)
            for child in self._children
            if child.name == name
        )

    async def stop(self) -> None:
        """Ask each to end, last started first; kill what does not."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for child in reversed(self._children):
            if child.process is not None and child.process.returncode is None:
                with suppress(ProcessLookupError):
                    child.process.send_signal(signal.SIGTERM)
        for child in self._children:
            await _ended(child)

    async def _spawn(self, child: Child) -> None:
        child.starts += 1
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *child.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **child.environment, "PYTHONUNBUFFERED": "1"},
                # A session of its own: Ctrl-C reaches this process only, which then ends the others in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    async def _keep_running(self, child: Child) -> None:
        while child.process is not None:
            code = await child.process.wait()
            if self._stopping:
                return
            self._tell(f"the {child.name} ended ({_ending(code)}); starting it again. Its log: {child.log}")
            await asyncio.sleep(RESTART_AFTER_S)
            await self._spawn(child)


def free_port(preferred: int) -> int:
    """`preferred` when nobody listens there, else (and for 0) another port that is free.

    Not one of those that the system gives to connections, which are above: by the time its process listens, a
    connection might have it.
    """
    for port in (*((preferred,) if preferred else ()), *islice(_others, 20), 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def _end_with_parent() -> None:
    """Runs in the child: the kernel ends it when this process dies, even by SIGKILL, so that nothing is left behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def first_of_its_kind(lock: Path) -> Iterator[bool]:
    """Whether no other demo runs on this machine: two that start together must not choose the same ports."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


async def _ended(child: Child) -> None:
    if child.process is None:
        return
    try:
        await asyncio.wait_for(child.process.wait(), GRACE_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.process.kill()
        await child.process.wait()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
