"""Which processes belong together, and which of them are alive: read from /proc, and unknown without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_MAX_GENERATIONS = 16
# Arguments of the children that Python's multiprocessing starts anew, and of the process that forks them for it.
_SPAWNED = b"--multiprocessing-fork"
_FORK_SERVER = b"multiprocessing.forkserver"


class Process(NamedTuple):
    id: int
    parent: int
    started: int
    """In ticks since the machine did: id and start together are never used again."""
    is_alive: bool
    """A zombie is not: it will never count again."""
    stack: int
    """Where its stack began: a fork has its parent's, and a program that was started anew one of its own. 0: it may
    not be read."""


def process(id: int, proc: Path = _PROC) -> Process | None:
    """None when there is none, or this system does not tell."""
    try:
        # The name of the program stands in parentheses and may hold anything.
        fields = (proc / str(id) / "stat").read_bytes().rpartition(b")")[2].split()
        return Process(id, int(fields[1]), int(fields[19]), fields[0] not in (b"Z", b"X", b"x"), int(fields[25]))
    except (OSError, ValueError, IndexError):
        return None


def leader(id: int, proc: Path = _PROC) -> Process | None:
    """The process that all workers of an application come from: the furthest ancestor of which this process is a fork,
    or that multiprocessing started it for. It may be the process itself."""
    found = process(id, proc)
    for _ in range(_MAX_GENERATIONS):
        if found is None or found.parent <= 0:
            return found
        parent = process(found.parent, proc)
        if parent is None or not _belongs(found, parent, proc):
            return found
        found = parent
    return found


def namespace(proc: Path = _PROC) -> int:
    """Ids of processes mean nothing in another one. 0: unknown."""
    try:
        return (proc / "self/ns/pid").stat().st_ino
    except OSError:
        return 0


def is_running(id: int, started: int) -> bool | None:
    """None: this system does not tell."""
    if not (_PROC / "self/stat").exists():
        return None
    found = process(id)
    return found is not None and found.started == started and found.is_alive


def myself() -> Process:
    id = os.getpid()
    return process(id) or Process(id, os.getppid(), 0, True, 0)


def _belongs(child: Process, parent: Process, proc: Path) -> bool:
    if child.stack and child.stack == parent.stack:
        return True
    arguments, parents = _arguments(child.id, proc), _arguments(parent.id, proc)
    if _SPAWNED in arguments or _FORK_SERVER in arguments:
        return True
    # A parent of another user does not show its stack.
    return not parent.stack and arguments != b"" and arguments == parents


def _arguments(id: int, proc: Path) -> bytes:
    try:
        return (proc / str(id) / "cmdline").read_bytes()
    except OSError:
        return b""
