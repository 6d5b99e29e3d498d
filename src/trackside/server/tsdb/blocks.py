"""SQL of the blocks: sealed samples of a group, and in memory what each block holds, so that a query reads no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from trackside.server.series import Int64s
from trackside.server.tsdb.codec import EncodedBlock

SCHEMA = """
CREATE TABLE IF NOT EXISTS block (
    id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL,
    seniority INTEGER NOT NULL,     -- of two samples of a series at one time, the one in the lower block counts
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    sample_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,    -- of its pages
    refs BLOB NOT NULL,             -- a roaring bitmap, portable format
    lags BLOB NOT NULL              -- (uint32 place among the refs, int64 ms the last sample is before end_ms)*
);
CREATE TABLE IF NOT EXISTS dropped_block (
    id INTEGER PRIMARY KEY          -- no block any more, but its pages are still to be deleted
);
CREATE TABLE IF NOT EXISTS block_page (
    id INTEGER PRIMARY KEY,         -- 65536 times the block's id, plus 0 for the header, 1 … for the pages
    data BLOB NOT NULL
);
"""

_LAG = np.dtype([("place", "<u4"), ("lag_ms", "<i8")])
_PAGES_OF_A_BLOCK = 1 << 16
MAX_PAGES = _PAGES_OF_A_BLOCK - 1


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is known of a block without reading it."""

    block_id: int
    group_id: int
    seniority: int
    """Of two samples of a series at one time, the one in the block with the lower number counts."""
    start_ms: int
    end_ms: int
    rows: int
    samples: int
    nbytes: int
    bitmap: BitMap

    @property
    def cells(self) -> int:
        return self.rows * len(self.bitmap)


class BlockSet:
    """The blocks there are at one moment. Never changed, so that a query can keep it while others come and go."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self.blocks = tuple(sorted(blocks, key=lambda block: (block.start_ms, block.block_id)))
        self._ids = {block.block_id for block in self.blocks}
        self._starts: Int64s = np.array([block.start_ms for block in self.blocks], np.int64)
        self._ends: Int64s = np.array([block.end_ms for block in self.blocks], np.int64)

    def __contains__(self, block_id: int) -> bool:
        return block_id in self._ids

    def overlapping(self, start_ms: int, end_ms: int) -> list[Block]:
        inside = (self._starts <= end_ms) & (self._ends >= start_ms)
        return [self.blocks[at] for at in np.flatnonzero(inside).tolist()]

    def replaced(self, gone: Iterable[int], new: Iterable[Block]) -> BlockSet:
        dropped = set(gone)
        return BlockSet([*(block for block in self.blocks if block.block_id not in dropped), *new])


def insert(connection: sqlite3.Connection, block: Block, lags_ms: Int64s, encoded: EncodedBlock) -> None:
    """`lags_ms`: how long before the block's end the last sample of each series is, in the order of the refs."""
    behind = np.flatnonzero(lags_ms)
    lags = np.empty(len(behind), _LAG)
    lags["place"], lags["lag_ms"] = behind, lags_ms[behind]
    connection.execute(
        "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            block.block_id,
            block.group_id,
            block.seniority,
            block.start_ms,
            block.end_ms,
            block.rows,
            block.samples,
            block.nbytes,
            block.bitmap.serialize(),
            lags.tobytes(),
        ),
    )
    first = block.block_id * _PAGES_OF_A_BLOCK
    connection.executemany(
        "INSERT INTO block_page VALUES (?, ?)",
        [(first + number, data) for number, data in enumerate((encoded.header, *encoded.pages))],
    )


def drop(connection: sqlite3.Connection, block_ids: Sequence[int]) -> None:
    """These are no blocks any more. Their pages stay, for queries that know the block, until `delete_dropped`."""
    for block_id in block_ids:
        connection.execute("DELETE FROM block WHERE id = ?", (block_id,))
        connection.execute("INSERT OR REPLACE INTO dropped_block VALUES (?)", (block_id,))


def delete_dropped(connection: sqlite3.Connection) -> None:
    for row in connection.execute("SELECT id FROM dropped_block").fetchall():
        first = row["id"] * _PAGES_OF_A_BLOCK
        connection.execute("DELETE FROM block_page WHERE id BETWEEN ? AND ?", (first, first + MAX_PAGES))
    connection.execute("DELETE FROM dropped_block")


def last_id(connection: sqlite3.Connection) -> int:
    """The greatest id of a block, a dropped or damaged one included."""
    row = connection.execute(
        "SELECT max((SELECT coalesce(max(id), 0) FROM block), (SELECT coalesce(max(id), 0) FROM dropped_block)) AS id"
    ).fetchone()
    return int(row["id"])


def stored(connection: sqlite3.Connection) -> Iterator[tuple[Block, Int64s] | int]:
    """Each block with the time of the last sample of each of its series, in the order of the refs; only the id of a
    block whose row was damaged."""
    for row in connection.execute("SELECT * FROM block ORDER BY id"):
        try:
            bitmap = BitMap.deserialize(row["refs"])
            lags = np.frombuffer(row["lags"], _LAG)
            last = np.full(len(bitmap), row["end_ms"], np.int64)
            last[lags["place"]] -= lags["lag_ms"]
        except (ValueError, IndexError, TypeError):
            yield row["id"]
            continue
        yield (
            Block(
                row["id"],
                row["group_id"],
                row["seniority"],
                row["start_ms"],
                row["end_ms"],
                row["row_count"],
                row["sample_count"],
                row["byte_count"],
                bitmap,
            ),
            last,
        )


def pages(connection: sqlite3.Connection, block_id: int, numbers: Iterable[int]) -> list[bytes | None]:
    """Bytes of the header (number 0) and the pages (from 1) of a block; None where there are none."""
    found: list[bytes | None] = []
    for number in numbers:
        row = connection.execute(
            "SELECT data FROM block_page WHERE id = ?", (block_id * _PAGES_OF_A_BLOCK + number,)
        ).fetchone()
        found.append(None if row is None else row["data"])
    return found
