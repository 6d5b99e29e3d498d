"""SQL of the catalogue: which series there are, each a list of label pairs that many series share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trackside.model.labels import Labels

Pair = tuple[str, str]

SCHEMA = """
CREATE TABLE IF NOT EXISTS label_pair (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL,             -- UTF-8; a blob, since a label may hold what SQLite takes for the end of a text
    value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS series (
    ref INTEGER PRIMARY KEY,
    pairs BLOB NOT NULL             -- ids of its label pairs, uint32 little-endian, in the order of the label names
);
"""


@dataclass(frozen=True, slots=True)
class PairRow:
    pair_id: int
    pair: Pair


@dataclass(frozen=True, slots=True)
class SeriesRow:
    ref: int
    pair_ids: tuple[int, ...]


def insert(connection: sqlite3.Connection, pairs: Sequence[PairRow], series: Sequence[SeriesRow]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO label_pair VALUES (?, ?, ?)",
        [(row.pair_id, _bytes(row.pair[0]), _bytes(row.pair[1])) for row in pairs],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO series VALUES (?, ?)",
        [(row.ref, np.array(row.pair_ids, "<u4").tobytes()) for row in series],
    )


def delete(connection: sqlite3.Connection, pair_ids: Sequence[int], refs: Sequence[int]) -> None:
    connection.executemany("DELETE FROM series WHERE ref = ?", [(ref,) for ref in refs])
    connection.executemany("DELETE FROM label_pair WHERE id = ?", [(pair_id,) for pair_id in pair_ids])


def pairs(connection: sqlite3.Connection) -> dict[int, Pair]:
    return {
        row["id"]: (_text(row["name"]), _text(row["value"])) for row in connection.execute("SELECT * FROM label_pair")
    }


def series(connection: sqlite3.Connection, pairs_by_id: dict[int, Pair]) -> Iterator[tuple[int, Labels | None]]:
    """Labels None: one of its pairs is missing, so the file was damaged."""
    for row in connection.execute("SELECT ref, pairs FROM series ORDER BY ref"):
        blob = row["pairs"]
        try:
            ids = np.frombuffer(blob, "<u4").tolist()
            yield row["ref"], Labels(tuple(pairs_by_id[pair_id] for pair_id in ids))
        except (KeyError, ValueError):
            yield row["ref"], None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
