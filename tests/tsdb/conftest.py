"""A store in a temporary folder, with the clock in the test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trackside.model.labels import Labels
from trackside.server.db.database import Database
from trackside.server.series import Frame, Series, is_hole
from trackside.server.storage import Appended
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb


class Bench:
    """The store and what tests do with it most."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = 0
        self.config: dict[str, object] = {}
        self.open()

    def open(self, **config: object) -> None:
        self.config.update(config)
        self.db = Database(self.path)
        self.tsdb = Tsdb(self.db, StorageConfig(**self.config), lambda: self.now_ms)

    def reopen(self, **config: object) -> None:
        self.close()
        self.open(**config)

    def close(self) -> None:
        self.tsdb.close()
        self.db.close()

    def labels(self, *names: str) -> list[Labels]:
        return [Labels.of(__name__="m", n=name) for name in names]

    def row(self, group: str, time_ms: int, **values: float) -> Appended:
        refs = self.tsdb.refs(self.labels(*values))
        return self.tsdb.append_row(group, time_ms, refs, np.array(list(values.values()), np.float64))

    def push(self, group: str, **samples: dict[int, float]) -> Appended:
        return self.tsdb.append_series(
            group,
            [
                Series(labels, np.array(list(there), np.int64), np.array(list(there.values()), np.float64))
                for labels, there in zip(self.labels(*samples), samples.values(), strict=True)
            ],
        )

    def frames(self, start_ms: int = -(1 << 62), end_ms: int = 1 << 62) -> list[Frame]:
        return list(self.tsdb.select([], start_ms, end_ms))

    def samples(self) -> dict[str, dict[int, float]]:
        found: dict[str, dict[int, float]] = {}
        for frame in self.frames():
            for column, labels in enumerate(frame.labels):
                there = ~is_hole(np.ascontiguousarray(frame.values[:, column]))
                found[labels.get("n")] = dict(
                    zip(frame.times_ms[there].tolist(), frame.values[there, column].tolist(), strict=True)
                )
        return found

    def seal(self, now_ms: int) -> None:
        asyncio.run(self.tsdb.seal(now_ms))

    def enforce_retention(self, now_ms: int) -> None:
        self.now_ms = now_ms
        asyncio.run(self.tsdb.enforce_retention(now_ms))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "test.db")
    yield bench
    bench.close()
