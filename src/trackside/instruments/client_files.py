"""The files in which prometheus_client's objects of several workers keep their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trackside.instruments.measured import ReportError


class ClientFiles:
    """A collector of all that is in one directory."""

    def __init__(self, directory: Path, report: ReportError) -> None:
        self._directory = directory
        self._report = report
        self._damaged: set[Path] = set()

    def collect(self) -> Iterable[Any]:
        from prometheus_client import multiprocess  # noqa: PLC0415 - only where the app has it

        merge: Any = multiprocess.MultiProcessCollector.merge
        files = sorted(self._directory.glob("*.db"))
        self._damaged.intersection_update(files)
        # Those that were damaged the last time may only have been half made.
        whole = [file for file in files if file not in self._damaged or self._is_whole(file, merge)]
        try:
            return list(merge(list(map(str, whole))))
        except Exception:  # noqa: BLE001 - a worker that was killed may leave anything, for good
            return list(merge([str(file) for file in whole if self._is_whole(file, merge)]))

    def _is_whole(self, file: Path, merge: Callable[[list[str]], Any]) -> bool:
        try:
            list(merge([str(file)]))
        except FileNotFoundError:
            # Whoever looks after the directory has just taken it away.
            return False
        except Exception:  # noqa: BLE001 - see above
            if file not in self._damaged:
                self._damaged.add(file)
                self._report("multiprocess file")
            return False
        self._damaged.discard(file)
        return True
