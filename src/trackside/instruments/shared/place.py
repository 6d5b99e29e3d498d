"""Where the files of one application are: a directory of its own that all its workers find, and nobody else reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trackside.instruments.shared import processes
from trackside.instruments.shared.lock import is_locked

VALUES = ".cells"
SAID = ".said"
FOLDED = "folded"
LOCK = "lock"
LEADER = "leader"
_TRIES = 5
_NAME = re.compile(r".*-(\d+)-(\d+)-(\d+)-(\d+)")


def roots() -> Iterable[Path]:
    """Where such directories may be: in memory if there is a file system there."""
    name = f"trackside-{os.geteuid()}"
    yield Path("/dev/shm", name)
    import tempfile  # noqa: PLC0415 - an import as long as all of ours, for the rare system without the above

    yield Path(tempfile.gettempdir(), name)


def directory(service: str, number: int, leader: processes.Process) -> Path | None:
    """Of the `number`-th registry of this service in the processes that come from `leader`. None: no place for it."""
    name = f"{re.sub(r'[^A-Za-z0-9_.]+', '_', service)[:64]}-{number}-{leader.id}-{leader.started}-{_space()}"
    for root in roots():
        # Nothing is made before there are two processes. But no process changes its mind then: all choose alike.
        if _is_ours(root) if os.path.lexists(root) else os.access(root.parent, os.W_OK | os.X_OK):
            return root / name
    return None


def clean(root: Path) -> None:
    """Remove what applications left behind that have ended altogether."""
    with suppress(OSError):
        for old in root.iterdir():
            remove_unless_needed(old)


def remove_unless_needed(directory: Path) -> None:
    """By its own name: not while the process that all its workers come from is there, and may start more of them."""
    match = _NAME.fullmatch(directory.name)
    if match is None or int(match[4]) != _space():
        return
    leader = int(match[2])
    if leader == os.getpid() or processes.is_running(leader, int(match[3])) is False:
        _remove_unless_used(directory)


def _space() -> int:
    return processes.namespace()


def made(directory: Path) -> bool:
    """Whether it is there now, and ours alone."""
    for _ in range(_TRIES):
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            # Somebody else's last directory may just have been removed, and this one's parent with it.
            with suppress(OSError):
                directory.parent.mkdir(mode=0o700)
        except OSError:
            return False
        else:
            return _is_ours(directory) and (directory.parent not in roots() or _is_ours(directory.parent))
    return False


def _is_ours(directory: Path) -> bool:
    # In a directory that all may write to, somebody else may have been there first.
    try:
        about = directory.lstat()
    except OSError:
        return False
    return (about.st_mode & 0o170077) == 0o040000 and about.st_uid == os.geteuid()


def _remove_unless_used(directory: Path) -> None:
    with suppress(OSError):
        files = list(directory.iterdir())
        # The first process is gone, but its workers may go on without it.
        if any(is_locked(file) for file in files if file.name.endswith(VALUES)):
            return
        for file in files:
            file.unlink(missing_ok=True)
        directory.rmdir()
        if directory.parent in roots():
            directory.parent.rmdir()
