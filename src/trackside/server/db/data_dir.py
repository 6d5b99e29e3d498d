"""The folder that holds everything: made when missing, private, and used by one server at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from trackside.exceptions import ConfigError

LOCK = "lock"
DATABASE = "trackside.db"


class DataDir:
    """Claimed from construction to `release`. The claim dies with the process, however it dies."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ConfigError: the folder cannot be made or written, or another server is using it.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"the data folder {path} cannot be used: {error.strerror or error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise ConfigError(
                f"the data folder {path} is in use by another server (process {owner}); "
                "stop that one, or give this one its own --data-dir"
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._lock)
