"""Locks on files, which the system takes back from a process that ends, in whatever way."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Whether this process has it now, until the descriptor is closed."""
    return _locked(descriptor, fcntl.LOCK_EX)


def unlock(descriptor: int, about: os.stat_result) -> None:
    """Close it if it is still that of the file that `about` tells of."""
    # Of a process that closed all its descriptors, to become a daemon, the number is another file's by now.
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), about):
            os.close(descriptor)


def is_held(descriptor: int) -> bool:
    """Whether somebody else has it."""
    # Shared, so that two that look at once do not take each other for the owner.
    return not _locked(descriptor, fcntl.LOCK_SH)


class Election:
    """Of one process among many: the first that asks, and when it is gone the next."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._won: tuple[int, os.stat_result] | None = None

    def is_won(self) -> bool:
        if self._won is not None:
            return True
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        if try_lock(descriptor):
            self._won = descriptor, os.fstat(descriptor)
            return True
        os.close(descriptor)
        return False

    def withdraw(self) -> None:
        """In a forked process this takes nothing from its parent."""
        if self._won is not None:
            unlock(*self._won)
            self._won = None


def is_locked(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return is_held(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
