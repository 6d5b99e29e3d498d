"""Sealing, joining, dropping, and queries while all that goes on."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from pyroaring import BitMap

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.tsdb.blocks import Block
from trackside.server.tsdb.compaction import expired, joinable

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def test_sealing_moves_what_is_over_and_leaves_what_is_not(bench):
    for time_ms in range(0, 3 * HOUR_MS, 60_000):
        bench.row("g", time_ms, a=1.0, b=2.0)
    bench.seal(3 * HOUR_MS)
    stats = bench.tsdb.stats()
    assert (stats.blocks, stats.block_samples, stats.head_samples) == (1, 240, 120)
    assert bench.tsdb.flush()
    (rows,) = bench.db.read(lambda connection: connection.execute("SELECT count(*) FROM journal").fetchone())
    assert rows == 60


def test_late_samples_end_up_in_one_block_with_their_neighbours(bench):
    for time_ms in range(0, 2 * HOUR_MS, 60_000):
        bench.row("g", time_ms, a=1.0)
    bench.row("g", 2 * HOUR_MS, a=1.0)
    bench.seal(2 * HOUR_MS)
    bench.row("g", 2 * HOUR_MS - 90_000, a=2.0)
    bench.seal(4 * HOUR_MS)
    assert bench.tsdb.stats().blocks == 1
    there = bench.samples()["a"]
    assert len(there) == 122
    assert there[2 * HOUR_MS - 90_000] == 2.0
    bench.reopen()
    assert bench.samples()["a"] == there


def test_rare_samples_do_not_make_many_blocks(bench):
    for hour in range(200):
        bench.push("sender", a={hour * HOUR_MS: float(hour)})
        bench.seal(hour * HOUR_MS)
    assert bench.tsdb.stats().blocks < 12
    assert bench.samples() == {"a": {hour * HOUR_MS: float(hour) for hour in range(200)}}


def test_old_blocks_and_their_series_go(bench):
    bench.row("g", HOUR_MS, a=1.0, b=1.0)
    bench.seal(DAY_MS)
    bench.row("g", 15 * DAY_MS, b=1.0)
    bench.seal(15 * DAY_MS)
    bench.enforce_retention(15 * DAY_MS)
    assert bench.tsdb.stats().series == 2
    bench.enforce_retention(15 * DAY_MS + 2 * HOUR_MS)
    assert bench.samples() == {"b": {15 * DAY_MS: 1.0}}
    assert bench.tsdb.stats().series == 1
    assert bench.tsdb.label_values("n", [], 0, 1 << 60) == ["b"]
    bench.reopen()
    assert bench.tsdb.stats().series == 1
    for table in ("series", "series_group", "block"):
        (count,) = bench.db.read(lambda c, table=table: c.execute(f"SELECT count(*) FROM {table}").fetchone())
        assert count == (0 if table == "block" else 1), table


def test_who_still_holds_the_ref_of_a_dropped_series_can_go_on(bench):
    held = bench.tsdb.refs(bench.labels("a", "b"))
    bench.tsdb.append_row("g", 0, held, np.ones(2))
    bench.seal(DAY_MS)
    bench.enforce_retention(16 * DAY_MS)
    assert bench.tsdb.stats().series == 0
    bench.tsdb.append_row("g", 16 * DAY_MS, held, np.ones(2))
    assert bench.tsdb.refs(bench.labels("a", "b")).tolist() == held.tolist()
    bench.reopen()
    assert bench.samples() == {"a": {16 * DAY_MS: 1.0}, "b": {16 * DAY_MS: 1.0}}


def test_the_size_is_kept_by_dropping_the_oldest(bench):
    rng = np.random.default_rng(1)
    refs = bench.tsdb.refs(bench.labels(*map(str, range(50))))
    for window in range(5):
        for minute in range(0, 120, 2):
            bench.tsdb.append_row("g", window * 2 * HOUR_MS + minute * 60_000, refs, rng.random(50))
        bench.seal((window + 1) * 2 * HOUR_MS)
    full = bench.tsdb.stats().block_bytes
    bench.reopen(retention_size=full // 2)
    bench.enforce_retention(10 * HOUR_MS)
    stats = bench.tsdb.stats()
    assert 0 < stats.block_bytes <= full // 2
    assert min(frame.times_ms[0] for frame in bench.frames()) >= 4 * HOUR_MS


def test_the_file_shrinks_when_samples_go(bench):
    refs = bench.tsdb.refs(bench.labels(*map(str, range(500))))
    rng = np.random.default_rng(1)
    for minute in range(120):
        bench.tsdb.append_row("g", minute * 60_000, refs, rng.random(500))
    bench.seal(DAY_MS)
    bench.enforce_retention(30 * DAY_MS)
    bench.close()
    assert bench.path.stat().st_size < 150_000
    bench.open()


def block(number: int, start: int, end: int, *, group: int = 1, rows: int = 10, refs: range = range(5)) -> Block:
    bitmap = BitMap(refs)
    return Block(number, group, number, start, end, rows, rows * len(bitmap), 100, bitmap)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param([block(1, 0, 9), block(2, 10, 19)], [], id="two small ones may wait"),
        pytest.param([block(n, n * 10, n * 10 + 9) for n in range(4)], [[0, 1, 2, 3]], id="four small ones"),
        pytest.param([block(n, n * 10, n * 10 + 9, group=n) for n in range(4)], [], id="of four groups"),
        pytest.param([block(n, n * 10, n * 10 + 9, rows=9_000) for n in range(4)], [], id="four large ones"),
        pytest.param([block(1, 0, 9, rows=9_000), block(2, 5, 12)], [[1, 2]], id="overlapping"),
        pytest.param([block(1, 0, 9, rows=999_999), block(2, 5, 12)], [], id="overlapping but too large"),
        pytest.param([block(n, n * 100, n * 100 + 9) for n in range(4)], [], id="too long a time"),
        pytest.param(
            [block(n, n * 10, n * 10 + 9, rows=150, refs=range(n * 90, n * 90 + 90)) for n in range(4)],
            [[0, 1]],
            id="four would be mostly holes",
        ),
        pytest.param(
            [block(1, 0, 9), block(3, 5, 12), block(2, 4, 6, group=2)], [], id="another group came in between"
        ),
        pytest.param(
            [block(1, 0, 9), block(3, 5, 12), block(2, 4, 6, group=2, refs=range(9, 12))],
            [[1, 3]],
            id="another group came in between with other series",
        ),
    ],
)
def test_which_blocks_are_joined(blocks, expected):
    assert [[each.block_id for each in together] for together in joinable(blocks, max_span_ms=100)] == expected


@pytest.mark.parametrize(
    ("oldest_ms", "max_bytes", "expected"),
    [
        pytest.param(0, 0, set(), id="all young"),
        pytest.param(15, 0, {0}, id="one too old"),
        pytest.param(0, 250, {0, 1}, id="too much"),
        pytest.param(0, 400, set(), id="just enough"),
        pytest.param(19, 250, {0, 1}, id="both"),
    ],
)
def test_which_blocks_are_dropped(oldest_ms, max_bytes, expected):
    blocks = [block(n, n * 10, n * 10 + 9) for n in range(4)]
    assert {each.block_id for each in expired(blocks, oldest_ms, max_bytes)} == expected


def test_queries_see_every_sample_once_while_blocks_come_and_go(bench):
    """One thread appends and seals, two ask: each answer must be 0, 1, 2, … without a gap and without end."""
    bench.reopen(block_duration="1s", retention="100y")
    refs = bench.tsdb.refs(bench.labels("a", "b", "c"))
    matcher = [Matcher("__name__", MatchOp.EQUAL, "m")]
    done = threading.Event()
    wrong: list[str] = []
    answers: list[int] = []

    def ask() -> None:
        last = 0
        while not done.is_set():
            frames = list(bench.tsdb.select(matcher, 0, 1 << 60))
            if not frames:
                continue
            (frame,) = frames
            rows = len(frame.times_ms)
            expected = np.arange(rows, dtype=np.float64)
            whole = frame.times_ms.tolist() == list(range(0, rows * 10, 10)) and len(frame.labels) == 3
            if not whole or frame.has_markers or not (frame.values == expected[:, None]).all() or rows < last:
                wrong.append(f"{rows} rows after {last}")
            last = rows
            answers.append(rows)

    async def work() -> None:
        for step in range(3_000):
            bench.tsdb.append_row("g", step * 10, refs, np.full(3, float(step)))
            if step % 40 == 39:
                await bench.tsdb.seal(step * 10)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        asyncio.run(work())
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(answers) > 10
    assert bench.tsdb.stats().damaged == ()


def test_labels_of_the_time_that_is_asked_for(bench):
    for name, job, time_ms in (("a", "shop", 0), ("b", "shop", 10 * HOUR_MS), ("c", "desk", 20 * HOUR_MS)):
        refs = bench.tsdb.refs([Labels.of(__name__=name, job=job, **{f"only_{name}": "x"})])
        bench.tsdb.append_row(name, time_ms, refs, np.ones(1))
    bench.seal(15 * HOUR_MS)
    shop = [Matcher("job", MatchOp.EQUAL, "shop")]
    tsdb = bench.tsdb
    assert [str(labels) for labels in tsdb.series(shop, 0, 30 * HOUR_MS)] == [
        'a{job="shop", only_a="x"}',
        'b{job="shop", only_b="x"}',
    ]
    assert [labels.get("__name__") for labels in tsdb.series([], 9 * HOUR_MS, 30 * HOUR_MS)] == ["b", "c"]
    assert tsdb.label_names(shop, 9 * HOUR_MS, 30 * HOUR_MS) == ["__name__", "job", "only_b"]
    assert tsdb.label_values("job", [], 0, 30 * HOUR_MS) == ["desk", "shop"]
    assert tsdb.label_values("__name__", shop, 0, HOUR_MS) == ["a"]
    assert tsdb.label_values("absent", [], 0, HOUR_MS) == []
