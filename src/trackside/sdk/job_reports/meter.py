"""CPU time and peak memory of attempts that share their process with others, as far as they can be told apart.

CPU seconds are those of the thread, and only where nothing else can have run in it meanwhile: no event loop, no other
attempt. The peak of memory is that of the whole process, and told only of an attempt that ran alone and raised it:
then it was reached in that attempt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock, get_ident
from time import thread_time
from typing import NamedTuple

# Where there is this, it is asked first: what getrusage tells begins, on Linux, with the memory of the parent.
_STATUS = Path("/proc/self/status")
_BYTES = 1 if sys.platform == "darwin" else 1024


class Usage(NamedTuple):
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None


class Reading:
    """Of one attempt, from its beginning."""

    __slots__ = ("_cpu_s", "_peak_bytes", "has_process", "has_thread", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()
        self.has_thread = self.has_process = True
        self._cpu_s = thread_time()
        self._peak_bytes = peak_memory_bytes()

    def usage(self) -> Usage:
        cpu_s = thread_time() - self._cpu_s if self.has_thread and get_ident() == self.thread else None
        now, before = peak_memory_bytes(), self._peak_bytes
        rose = self.has_process and now is not None and before is not None and now > before
        return Usage(cpu_s, now if rose else None)


class Meter:
    def __init__(self) -> None:
        self._open: set[Reading] = set()
        self._lock = Lock()

    def begin(self) -> Reading:
        reading = Reading()
        if _in_event_loop():
            reading.has_thread = False
        with self._lock:
            for other in self._open:
                other.has_process = reading.has_process = False
                if other.thread == reading.thread:
                    other.has_thread = reading.has_thread = False
            self._open.add(reading)
        return reading

    def end(self, reading: Reading) -> Usage:
        with self._lock:
            self._open.discard(reading)
        return reading.usage()

    def in_child(self) -> None:
        """What was open is the parent's."""
        self._open = set()
        self._lock = Lock()


def usage_of_process(rusage: object) -> Usage:
    """Of a process that has ended, as wait4 tells. One that was forked began with the memory of its parent."""
    cpu_s = getattr(rusage, "ru_utime", 0.0) + getattr(rusage, "ru_stime", 0.0)
    return Usage(cpu_s, int(getattr(rusage, "ru_maxrss", 0)) * _BYTES or None)


def peak_memory_bytes() -> int | None:
    """The most that this process ever held in memory."""
    try:
        return int(_STATUS.read_bytes().partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
