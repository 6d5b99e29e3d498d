"""The bytes of a file of cells: a header, then records, each with its name in front of its numbers.

Every number stands at a multiple of eight bytes, so that it can be changed in place and read at any moment:

    header   magic (8 bytes), then doubles: version, bytes in use, process id, its start, its namespace, how many cells
             are not shown any more, when the file was made
    record   length in bytes (a multiple of sixteen), kind, bytes of the name, checksum of the name (32 bits each); the
             name; zeros; doubles, up to the end
             kind 0: room left over; 1: a table, whose name is its layout; n + 2: a cell of the n-th table, whose name
             are its label values, and whose last double says whether it is shown
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import NamedTuple

from trackside.instruments.layout import Layout
from trackside.instruments.measured import LabelValues
from trackside.instruments.shared.layout_text import identity, layout_from

MAGIC = b"trkcells"
VERSION = 1.0
VERSION_AT, USED_AT, PROCESS_AT, STARTED_AT, NAMESPACE_AT, HIDDEN_AT, MADE_AT = 1, 2, 3, 4, 5, 6, 7
"""Places among the doubles."""
HEADER_BYTES = 64
MAX_BYTES = 256 * 1024 * 1024
"""Of a file: a damaged one may say that it is any size."""
PADDING, TABLE, FIRST_CELL = 0, 1, 2

_HEAD = struct.Struct("=IIII")
HEAD_BYTES = _HEAD.size


class Header(NamedTuple):
    used: int
    process: int
    started: int
    namespace: int
    made: float
    """A file that was made anew may have the name and the inode of one that is gone, but not this, too."""

    @property
    def end(self) -> int:
        """How much there is to be read."""
        # Behind the cells of a process there is only room for more of them; elsewhere something else may stand there.
        return self.used if self.process else MAX_BYTES


NO_HEADER = Header(HEADER_BYTES, 0, 0, 0, 0.0)
"""Of a file that is none of ours."""


class CellAt(NamedTuple):
    """Where a cell stands, in doubles."""

    key: LabelValues
    at: int
    width: int


class Damaged(Exception):
    """A file that is none of ours, or not whole."""


def record_bytes(name: bytes, doubles: int) -> int:
    # Of sixteen, so that what is left over at the end of a segment has room for a head, or is nothing.
    return -(-(HEAD_BYTES + len(name) + 8 * doubles) // 16) * 16


def head(length: int, kind: int, name: bytes) -> bytes:
    return _HEAD.pack(length, kind, len(name), zlib.crc32(name)) + name


def key_name(key: LabelValues) -> bytes:
    return json.dumps(key, ensure_ascii=False).encode("utf-8", "replace")


def header_of(data: bytes) -> Header:
    """Of a file that begins so.

    Raises:
        Damaged: it is no file of ours.
    """
    if len(data) < HEADER_BYTES or data[:8] != MAGIC:
        raise Damaged("no header")
    version, used, process, started, namespace, _, made = struct.unpack_from("=7d", data, 8)
    try:
        header = Header(int(used), int(process), int(started), int(namespace), made)
    except (ValueError, OverflowError):
        raise Damaged("no numbers in the header") from None
    if version != VERSION or not HEADER_BYTES <= header.used <= MAX_BYTES or header.used % 8:
        raise Damaged(f"version {version}, {header.used} bytes in use")
    return header


class Index:
    """What stands where in one file. Records are only ever added: it reads on from where it was."""

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self.identities: list[str] = []
        """Of the layouts: equal in all processes."""
        self.cells: list[list[CellAt]] = []
        """Of each layout."""
        self._read = HEADER_BYTES

    def read_on(self, data: bytes, used: int) -> None:
        """
        Raises:
            Damaged: what follows cannot be read. What stood before it can.
        """
        if not self._read <= used <= len(data):
            raise Damaged(f"{used} bytes in use, of which {len(data)} are there and {self._read} were")
        while self._read < used:
            self._read += self._record(data, self._read, used)

    def _record(self, data: bytes, at: int, used: int) -> int:
        if at + HEAD_BYTES > used:
            raise Damaged("a record without a head")
        length, kind, name_bytes, checksum = _HEAD.unpack_from(data, at)
        if length < HEAD_BYTES or length % 16 or at + length > used:
            raise Damaged(f"a record of {length} bytes")
        if kind == PADDING:
            return int(length)
        name = data[at + HEAD_BYTES : at + HEAD_BYTES + name_bytes]
        if HEAD_BYTES + name_bytes > length or zlib.crc32(name) != checksum:
            raise Damaged("a name that is not what was written")
        try:
            if kind == TABLE:
                layout = layout_from(name.decode())
                self.layouts.append(layout)
                self.identities.append(identity(layout))
                self.cells.append([])
            else:
                self._cell(kind - FIRST_CELL, _key(name), at + length, length - HEAD_BYTES - name_bytes)
        except ValueError as error:
            raise Damaged(str(error)) from error
        return int(length)

    def _cell(self, table: int, key: LabelValues, end: int, room: int) -> None:
        if table >= len(self.layouts) or not self.layouts[table].takes(key):
            raise ValueError(f"a cell that fits into no table: {key!r}"[:120])
        width = self.layouts[table].width
        if room < 8 * (width + 1):
            raise ValueError("a cell that is too short")
        self.cells[table].append(CellAt(key, end // 8 - width - 1, width))


def _key(name: bytes) -> LabelValues:
    key = json.loads(name)
    if type(key) is not list or not all(type(value) is str for value in key):
        raise ValueError("label values that are no text")
    return tuple(key)
