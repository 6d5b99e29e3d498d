"""A clock turned by hand, and keys in a database of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trackside.server.access.keys import Keys
from trackside.server.db.database import Database


@dataclass
class HandClock:
    time_ms: int = 1_764_079_335_000

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


class CountingDatabase(Database):
    reads = 0

    def read(self, work):
        self.reads += 1
        return super().read(work)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[CountingDatabase]:
    database = CountingDatabase(tmp_path / "trackside.db")
    yield database
    database.close()


@pytest.fixture
def restart(db: CountingDatabase, tmp_path: Path, clock: HandClock) -> Callable[[], Keys]:
    """The keys as a new process sees them."""
    return lambda: Keys(db, tmp_path, clock)


@pytest.fixture
def keys(restart: Callable[[], Keys]) -> Keys:
    return restart()
