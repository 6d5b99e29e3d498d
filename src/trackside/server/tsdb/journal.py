"""SQL of the journal: what was appended and is not in a block yet, and the groups whose series are sampled together."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import zstandard

from trackside.exceptions import StorageError
from trackside.server.series import Float64s, Int64s

SCHEMA = """
CREATE TABLE IF NOT EXISTS series_group (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    pushed INTEGER NOT NULL         -- 1: made for pushed samples, one of perhaps many with that name
);
CREATE TABLE IF NOT EXISTS journal_layout (
    id INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    refs BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_layout_by_chunk ON journal_layout (chunk);
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    layout INTEGER NOT NULL,
    samples BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_chunk ON journal (chunk);
"""

_ROWS = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class GroupRow:
    group_id: int
    name: str
    pushed: bool


@dataclass(frozen=True, slots=True, eq=False)
class LayoutRow:
    """The series of samples that follow, in the order of their columns."""

    layout_id: int
    chunk_id: int
    group_id: int
    refs: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class SamplesRow:
    row_id: int
    chunk_id: int
    layout_id: int
    times_ms: Int64s
    values: Float64s
    """Shape (len(times_ms), series of the layout)."""

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.times_ms.nbytes


@dataclass(frozen=True, slots=True)
class LastIds:
    """The greatest ids in use, those of damaged rows included."""

    row: int
    layout: int
    chunk: int


def encode_refs(refs: Int64s) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return compressor.compress(_shuffled(np.diff(refs, prepend=0).astype("<i8").view("<u8")))


def decode_refs(data: bytes) -> Int64s:
    """
    Raises:
        StorageError: these are not the bytes of a layout.
    """
    plain = _decompressed(data)
    if len(plain) % 8:
        raise StorageError("a layout in the journal has an odd length")
    return np.cumsum(_unshuffled(plain).view(np.int64))


def encode_samples(times_ms: Int64s, values: Float64s) -> bytes:
    # Byte by byte over all values: the bytes that hardly differ become long runs, at 1 µs for a thousand values.
    numbers = np.concatenate([times_ms.astype("<i8").view("<u8"), values.ravel().astype("<f8", copy=False).view("<u8")])
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return compressor.compress(_ROWS.pack(len(times_ms)) + _shuffled(numbers))


def decode_samples(data: bytes, columns: int) -> tuple[Int64s, Float64s]:
    """
    Raises:
        StorageError: these are not the bytes of samples of so many series.
    """
    plain = _decompressed(data)
    (rows,) = _ROWS.unpack_from(plain) if len(plain) >= _ROWS.size else (0,)
    if rows == 0 or len(plain) != _ROWS.size + 8 * rows * (1 + columns):
        raise StorageError(f"a row of the journal does not hold samples of {columns} series")
    numbers = _unshuffled(plain[_ROWS.size :])
    return numbers[:rows].view(np.int64), numbers[rows:].view(np.float64).reshape(rows, columns)


def insert(
    connection: sqlite3.Connection,
    groups: Sequence[GroupRow],
    layouts: Sequence[tuple[LayoutRow, bytes]],
    samples: Sequence[tuple[SamplesRow, bytes]],
) -> None:
    """Write rows with their encoded blobs. Replaces rows of the same id, so that a batch can be tried again."""
    connection.executemany(
        "INSERT OR REPLACE INTO series_group VALUES (?, ?, ?)",
        [(row.group_id, row.name, int(row.pushed)) for row in groups],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO journal_layout VALUES (?, ?, ?, ?)",
        [(row.layout_id, row.chunk_id, row.group_id, blob) for row, blob in layouts],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?)",
        [(row.row_id, row.chunk_id, row.layout_id, blob) for row, blob in samples],
    )


def delete_chunk(connection: sqlite3.Connection, chunk_id: int) -> None:
    connection.execute("DELETE FROM journal WHERE chunk = ?", (chunk_id,))
    connection.execute("DELETE FROM journal_layout WHERE chunk = ?", (chunk_id,))


def delete_groups(connection: sqlite3.Connection, group_ids: Sequence[int]) -> None:
    connection.executemany("DELETE FROM series_group WHERE id = ?", [(group_id,) for group_id in group_ids])


def groups(connection: sqlite3.Connection) -> list[GroupRow]:
    rows = connection.execute("SELECT id, name, pushed FROM series_group")
    return [GroupRow(row["id"], row["name"], bool(row["pushed"])) for row in rows]


def last_ids(connection: sqlite3.Connection) -> LastIds:
    row = connection.execute(
        "SELECT coalesce(max(id), 0) AS id, coalesce(max(layout), 0) AS layout, coalesce(max(chunk), 0) AS chunk"
        " FROM journal"
    ).fetchone()
    layout = connection.execute(
        "SELECT coalesce(max(id), 0) AS layout, coalesce(max(chunk), 0) AS chunk FROM journal_layout"
    ).fetchone()
    return LastIds(row["id"], max(row["layout"], layout["layout"]), max(row["chunk"], layout["chunk"]))


def layouts(connection: sqlite3.Connection, on_error: Callable[[StorageError], None]) -> Iterator[LayoutRow]:
    """Damaged rows are left out, and told to `on_error`."""
    for row in connection.execute("SELECT id, chunk, group_id, refs FROM journal_layout ORDER BY id"):
        try:
            yield LayoutRow(row["id"], row["chunk"], row["group_id"], decode_refs(row["refs"]))
        except StorageError as error:
            on_error(StorageError(f"layout {row['id']} of the journal: {error}"))


def samples(
    connection: sqlite3.Connection, columns: dict[int, int], on_error: Callable[[StorageError], None]
) -> Iterator[SamplesRow]:
    """In the order in which they were appended. `columns`: how many series each layout has.

    Damaged rows, and those of unknown layouts, are left out, and told to `on_error`.
    """
    for row in connection.execute("SELECT id, chunk, layout, samples FROM journal ORDER BY id"):
        try:
            if row["layout"] not in columns:
                raise StorageError(f"its layout {row['layout']} is missing")
            times_ms, values = decode_samples(row["samples"], columns[row["layout"]])
            yield SamplesRow(row["id"], row["chunk"], row["layout"], times_ms, values)
        except StorageError as error:
            on_error(StorageError(f"row {row['id']} of the journal: {error}"))


def _shuffled(numbers: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> bytes:
    return numbers.view(np.uint8).reshape(-1, 8).T.tobytes()


def _unshuffled(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(8, -1).T).view("<u8").reshape(-1)


def _decompressed(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise StorageError(f"damaged: {error}") from error
