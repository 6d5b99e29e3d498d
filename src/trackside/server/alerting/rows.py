"""Rows to be written: those of one table go into one statement, however many they are.

A statement for each row would let go of the interpreter for each, and wait for its turn again: beside a busy event loop
that is up to five milliseconds for each of a thousand rows, while notifications wait for the commit.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic_core import PydanticSerializationError, to_json

from trackside.server.db.database import Work

AT_ONCE = (32, 8, 1)
"""Rows of a statement. A few sizes, since each statement is compiled once and kept, and the large ones take memory."""


@dataclass(frozen=True, slots=True)
class Table:
    into: str
    """A statement as far as `VALUES`."""
    columns: int
    on_conflict: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    table: Table
    values: tuple[object, ...]

    def __call__(self, connection: sqlite3.Connection) -> None:
        _write(connection, self.table, [self.values])


def all_of(works: Iterable[Work]) -> Work:
    """One transaction of several. Rows of different tables may change places, nothing else does."""

    def work(connection: sqlite3.Connection) -> None:
        rows: dict[Table, list[tuple[object, ...]]] = {}
        for one in works:
            if isinstance(one, Row):
                rows.setdefault(one.table, []).append(one.values)
                continue
            _write_all(connection, rows)
            one(connection)
        _write_all(connection, rows)

    return work


def json_text(value: object) -> str:
    # Five times as fast as the standard library's, which is only needed for halves of surrogate pairs.
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, UnicodeError):
        return json.dumps(value)


def _write_all(connection: sqlite3.Connection, rows: dict[Table, list[tuple[object, ...]]]) -> None:
    for table, values in rows.items():
        _write(connection, table, values)
    rows.clear()


def _write(connection: sqlite3.Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    marks = f"({', '.join('?' * table.columns)})"
    at = 0
    for count in AT_ONCE:
        sql = f"{table.into} VALUES {', '.join([marks] * count)} {table.on_conflict}"
        while at + count <= len(rows):
            connection.execute(sql, [value for row in rows[at : at + count] for value in row])
            at += count
