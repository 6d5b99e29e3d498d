"""One file of cells as a reader sees it: whole or in part, alive or left by a dead process."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from trackside.instruments.layout import Layout
from trackside.instruments.measured import LabelValues
from trackside.instruments.shared import processes
from trackside.instruments.shared.lock import is_held
from trackside.instruments.shared.records import (
    HEADER_BYTES,
    HIDDEN_AT,
    NO_HEADER,
    CellAt,
    Damaged,
    Header,
    Index,
    header_of,
)
from trackside.model.cheap_typing import NamedTuple

Numbers = Sequence[float]

_AT_ONCE = 4 * 1024 * 1024


class Table(NamedTuple):
    """Of one file."""

    identity: str
    layout: Layout
    places: Sequence[CellAt]


class Contents(NamedTuple):
    """Of one file, at one moment."""

    name: str
    process: int
    is_alive: bool
    is_whole: bool
    tables: tuple[Table, ...]
    doubles: Sequence[float]
    """All numbers of the file (and what stands between them), and a zero."""
    rest: bytes
    """What comes after the cells."""

    @property
    def has_hidden(self) -> bool:
        """Whether there may be cells that are not shown any more."""
        return len(self.doubles) <= HIDDEN_AT or self.doubles[HIDDEN_AT] != 0

    def cells(self, table: Table) -> Iterator[tuple[LabelValues, Numbers]]:
        doubles = self.doubles
        for key, at, width in table.places:
            if doubles[at + width]:
                yield key, tuple(doubles[at : at + width])


class Reader:
    """Of one file, over and over: what stands where is read once, and what has not changed is not taken apart again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inode = 0
        self._index = Index()
        self._identity = (0, 0.0)
        self._data = b""
        self._last: Contents | None = None

    def read(self) -> Contents | None:
        """None: there is no such file (any more)."""
        try:
            # Not waiting for whoever writes to it, should it be a pipe.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError:
            return self._unreadable()
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                return self._unreadable()
            self.inode = about.st_ino
            # Alive or not first: what a process counted before it died is in what is read after that.
            is_locked = is_held(descriptor)
            return self.contents(*_read(descriptor), is_locked)
        except OSError:
            return self._unreadable()
        finally:
            os.close(descriptor)

    def contents(self, header: Header, data: bytes, is_locked: bool) -> Contents:
        """Of a file that begins with `data`."""
        if (self.inode, header.made) != self._identity:
            self._identity, self._index, self._last = (self.inode, header.made), Index(), None
        self._last = self._contents(header, data, is_locked)
        return self._last

    def _unreadable(self) -> Contents:
        with suppress(OSError):
            self.inode = self.path.lstat().st_ino
        return self.contents(NO_HEADER, b"", is_locked=False)

    def _contents(self, header: Header, data: bytes, is_locked: bool) -> Contents:
        is_whole = True
        try:
            self._index.read_on(data, header.used)
        except Damaged:
            is_whole = False
        is_alive = is_locked or _runs(header)
        last = self._last
        if last is not None and data == self._data and last.is_whole == is_whole:
            return last if last.is_alive == is_alive else last._replace(is_alive=is_alive)
        self._data = data
        rest = b"" if header.process else data[header.used :]
        used = min(header.used, len(data) // 8 * 8)
        # An array makes numbers of the few that are asked for: most of a file are names.
        doubles = array("d", data[:used])
        tables = tuple(self._tables(len(doubles), is_whole))
        doubles.append(0.0)
        return Contents(self.path.name, header.process, is_alive, is_whole, tables, doubles, rest)

    def _tables(self, size: int, is_whole: bool) -> Iterator[Table]:
        index = self._index
        for identity, layout, places in zip(index.identities, index.layouts, index.cells, strict=True):
            # Of a file that has become shorter what is gone is left out.
            there = places if is_whole else [place for place in places if place.at + place.width < size]
            yield Table(identity, layout, there)


def _read(descriptor: int) -> tuple[Header, bytes]:
    """Read, not mapped: of a file that somebody cuts off meanwhile a mapping would end this process."""
    try:
        header = header_of(os.pread(descriptor, HEADER_BYTES, 0))
    except Damaged:
        return NO_HEADER, b""
    parts, at = [], 0
    while at < header.end and (part := os.pread(descriptor, min(_AT_ONCE, header.end - at), at)):
        parts.append(part)
        at += len(part)
    return header, b"".join(parts)


def _runs(header: Header) -> bool:
    """Of a process that has lost its lock (it closed all its files): whether it is there nevertheless."""
    if not header.process or header.namespace != processes.namespace():
        return False
    return processes.is_running(header.process, header.started) is True
