"""What a killed process, a full disk and damaged bytes leave behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from trackside.model.labels import Labels
from trackside.server.db.database import Database
from trackside.server.series import Series, is_marker
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb

SERIES = [Labels.of(__name__="m", n=str(number)) for number in range(20)]
EVERYTHING = (-(1 << 62), 1 << 62)
HOUR_MS = 3_600_000


class Opened:
    """A database file with the store in it."""

    def __init__(self, path: Path, **config: object) -> None:
        self.db = Database(path)
        self.tsdb = Tsdb(self.db, StorageConfig(**{"retention": "100y", **config}), lambda: 0)
        self.refs = self.tsdb.refs(SERIES)

    def append(self, times_ms: range, group: str = "g") -> None:
        for time_ms in times_ms:
            assert self.tsdb.append_row(group, time_ms, self.refs, np.full(len(SERIES), float(time_ms))).added == 20

    def times(self, start_ms: int = EVERYTHING[0], end_ms: int = EVERYTHING[1]) -> list[int]:
        """Of the samples; checks that every series has them all, and with the values that were appended."""
        seen: list[list[int]] = []
        for frame in self.tsdb.select([], start_ms, end_ms):
            for column in range(len(frame.labels)):
                there = ~is_marker(np.ascontiguousarray(frame.values[:, column]))
                assert (frame.values[there, column] == frame.times_ms[there]).all()
                seen.append(frame.times_ms[there].tolist())
        assert all(times == seen[0] for times in seen)
        assert not seen or len(seen) == len(SERIES)
        return seen[0] if seen else []

    def seal(self, now_ms: int) -> None:
        asyncio.run(self.tsdb.seal(now_ms))

    def sql(self, statement: str, *args: object) -> list[sqlite3.Row]:
        return self.db.write(lambda connection: connection.execute(statement, args).fetchall()).result()

    def close(self) -> None:
        self.tsdb.close()
        self.db.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "test.db"


def test_what_was_flushed_is_there_after_a_restart(path):
    opened = Opened(path)
    opened.append(range(0, 10_000, 100))
    opened.close()
    again = Opened(path)
    assert again.times() == list(range(0, 10_000, 100))
    again.append(range(10_000, 11_000, 100))
    assert again.times() == list(range(0, 11_000, 100))
    again.close()


APPENDER = """
    import asyncio, sys, threading
    from pathlib import Path
    import numpy as np
    from trackside.model.labels import Labels
    from trackside.server.db.database import Database
    from trackside.server.tsdb.config import StorageConfig
    from trackside.server.tsdb.store import Tsdb

    async def main():
        tsdb = Tsdb(Database(Path(sys.argv[1])), StorageConfig(block_duration="1s", retention="100y"), lambda: 0)
        start = int(sys.argv[2])
        refs = tsdb.refs([Labels.of(__name__="m", n=str(number)) for number in range(20)])
        for step in range(1_000_000):
            time_ms = start + step * 10
            tsdb.append_row("g", time_ms, refs, np.full(20, float(time_ms)))
            if step % 50 == 49:
                # What was printed was on disk: it may not be missing later.
                assert tsdb.flush()
                print(time_ms, flush=True)
                await tsdb.seal(time_ms)

    asyncio.run(main())
"""


def test_a_killed_process_loses_nothing_that_was_flushed(path, tmp_path):
    script = tmp_path / "appender.py"
    script.write_text(textwrap.dedent(APPENDER))
    source = Path(__file__).parents[2] / "src"
    start_ms = 0
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, str(script), str(path), str(start_ms)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(source)},
        )
        assert process.stdout is not None
        flushed = [int(process.stdout.readline()) for _ in range(5 + 7 * attempt)][-1]
        process.send_signal(signal.SIGKILL)
        flushed = max([flushed, *map(int, process.stdout.read().split(b"\n")[:-1])])
        process.wait()
        process.stdout.close()
        again = Opened(path, block_duration="1s")
        times = again.times()
        assert times == list(range(0, times[-1] + 10, 10)), "a sample is missing, or there twice"
        assert times[-1] >= flushed
        assert again.tsdb.stats().damaged == ()
        start_ms = times[-1] + 10
        again.close()


def fill_disk(opened: Opened, *, full: bool) -> None:
    (pages,) = opened.db.read(lambda connection: connection.execute("PRAGMA page_count").fetchone())
    # No free page may be left either, or a small write still fits.
    if full:
        opened.db.reclaim(1 << 20).result()
    opened.sql(f"PRAGMA max_page_count = {1 if full else pages + 1_000_000}")


def test_a_full_disk_stops_nothing_and_is_made_up_for(path):
    opened = Opened(path)
    opened.append(range(0, 1_000, 100))
    assert opened.tsdb.flush()
    fill_disk(opened, full=True)
    wide = opened.tsdb.refs([Labels.of(__name__="noise", n=str(number)) for number in range(5_000)])
    # Incompressible, so that it needs pages.
    opened.tsdb.append_row("noise", 0, wide, np.random.default_rng(1).random(5_000))
    opened.append(range(1_000, 2_000, 100))
    assert not opened.tsdb.flush()
    opened.seal(3 * HOUR_MS)
    stats = opened.tsdb.stats()
    assert "full" in stats.last_error
    assert stats.errors_total >= 1
    assert stats.journal_waiting_rows > 0
    assert stats.blocks == 0
    assert len(list(opened.tsdb.select([], *EVERYTHING))) == 2
    fill_disk(opened, full=False)
    assert opened.tsdb.flush()
    opened.seal(3 * HOUR_MS)
    assert opened.tsdb.stats().blocks == 2
    opened.close()
    again = Opened(path)
    frames = list(again.tsdb.select([], *EVERYTHING))
    assert sorted(len(frame.labels) for frame in frames) == [20, 5_000]
    assert sum(frame.values.size for frame in frames) == 20 * 20 + 5_000
    again.close()


def two_blocks(path: Path) -> Opened:
    opened = Opened(path)
    opened.append(range(0, HOUR_MS, 60_000))
    opened.seal(2 * HOUR_MS)
    opened.append(range(2 * HOUR_MS, 3 * HOUR_MS, 60_000))
    opened.seal(4 * HOUR_MS)
    assert opened.tsdb.stats().blocks == 2
    opened.close()
    return Opened(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("UPDATE block_page SET data = substr(data, 1, length(data) / 2) WHERE id = 65537", id="page cut"),
        pytest.param("UPDATE block_page SET data = zeroblob(length(data)) WHERE id = 65537", id="page zeroed"),
        pytest.param("UPDATE block_page SET data = x'' WHERE id = 65536", id="header empty"),
        pytest.param("UPDATE block_page SET data = 'text' WHERE id = 65536", id="header no blob"),
        pytest.param("DELETE FROM block_page WHERE id = 65537", id="page gone"),
        pytest.param("DELETE FROM block_page WHERE id = 65536", id="header gone"),
    ],
)
def test_a_damaged_block_is_named_and_the_others_are_read(path, damage):
    opened = two_blocks(path)
    opened.sql(damage)
    for _ in range(2):
        assert opened.times() == list(range(2 * HOUR_MS, 3 * HOUR_MS, 60_000))
    stats = opened.tsdb.stats()
    assert len(stats.damaged) == 1
    assert "block 1" in stats.damaged[0]
    assert stats.errors_total == 1
    opened.close()


def test_a_block_whose_list_of_series_is_damaged_is_left_out_at_the_start(path):
    opened = two_blocks(path)
    opened.sql("UPDATE block SET refs = x'0102' WHERE id = 1")
    opened.close()
    again = Opened(path)
    assert again.times() == list(range(2 * HOUR_MS, 3 * HOUR_MS, 60_000))
    assert "block 1" in again.tsdb.stats().damaged[0]
    again.append(range(3 * HOUR_MS, 4 * HOUR_MS, 60_000))
    again.seal(6 * HOUR_MS)
    assert again.times() == list(range(2 * HOUR_MS, 4 * HOUR_MS, 60_000))
    again.close()


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param("UPDATE journal SET samples = substr(samples, 1, 9) WHERE id = 3", {200}, id="row cut"),
        pytest.param("UPDATE journal SET samples = x'' WHERE id = 3", {200}, id="row empty"),
        pytest.param("UPDATE journal SET samples = zeroblob(99) WHERE id = 3", {200}, id="row zeroed"),
        pytest.param("UPDATE journal SET layout = 77 WHERE id = 3", {200}, id="layout unknown"),
        pytest.param("UPDATE journal_layout SET refs = x'00'", set(range(0, 1_000, 100)), id="layout damaged"),
    ],
)
def test_a_damaged_journal_costs_only_its_row(path, damage, lost):
    opened = Opened(path)
    opened.append(range(0, 1_000, 100))
    assert opened.tsdb.flush()
    opened.sql(damage)
    opened.close()
    again = Opened(path)
    assert set(again.times()) == set(range(0, 1_000, 100)) - lost
    assert "journal" in again.tsdb.stats().damaged[0]
    again.append(range(1_000, 2_000, 100))
    again.close()
    once_more = Opened(path)
    assert set(once_more.times()) == set(range(0, 2_000, 100)) - lost
    once_more.close()


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM label_pair WHERE value = CAST('3' AS BLOB)", "UPDATE series SET pairs = x'01' WHERE ref = 4"],
)
def test_a_series_without_labels_is_left_out(path, damage):
    opened = Opened(path)
    opened.append(range(0, 1_000, 100))
    assert opened.tsdb.flush()
    opened.sql(damage)
    opened.close()
    db = Database(path)
    tsdb = Tsdb(db, StorageConfig(retention="100y"), lambda: 0)
    (frame,) = tsdb.select([], *EVERYTHING)
    assert len(frame.labels) == len(SERIES) - 1
    assert "series 4" in tsdb.stats().damaged[0]
    assert tsdb.refs([SERIES[3]])[0] > 20
    tsdb.close()
    db.close()


def test_a_bulk_of_samples_of_one_series(path):
    opened = Opened(path)
    times_ms = np.arange(100_000) * 15_000
    pushed = Series(SERIES[0], times_ms, times_ms.astype(np.float64))
    assert opened.tsdb.append_series("sender", [pushed]).added == 100_000
    assert opened.tsdb.append_series("sender", [pushed]).added == 0
    opened.seal(1 << 40)
    (frame,) = opened.tsdb.select([], *EVERYTHING)
    assert frame.times_ms.tolist() == times_ms.tolist()
    opened.close()
