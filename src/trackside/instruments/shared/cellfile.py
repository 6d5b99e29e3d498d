"""One process' file of cells: made so that readers see it whole or not at all, and grown so that nothing moves."""

from __future__ import annotations

import mmap
import os
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from trackside.instruments.layout import Cell, Layout
from trackside.instruments.measured import LabelValues
from trackside.instruments.shared import processes, records
from trackside.instruments.shared.layout_text import text_of
from trackside.instruments.shared.lock import try_lock, unlock
from trackside.instruments.shared.place import VALUES
from trackside.instruments.shared.reading import Contents, Reader

# Of a mapping begins at multiples of it, on every system that there is.
_UNIT = max(mmap.ALLOCATIONGRANULARITY, 16_384)
_MAX_SEGMENT = 16 * _UNIT
MAX_NAME_BYTES = 65_536


class CellFile:
    """Written by the process that made it, under its registry's lock."""

    def __init__(self, path: Path) -> None:
        """In place of what may be at `path`.

        Raises:
            OSError: there is no room, or no way to lock it.
        """
        self.path = path
        self.user = os.geteuid()
        self.dropped_bytes = 0
        """Of cells that are not shown any more."""
        self._tables: dict[int, tuple[int, Layout]] = {}
        self._maps: list[mmap.mmap] = []
        self._reader = Reader(path)
        self._segment: memoryview[float] = memoryview(bytearray(8)).cast("d")
        self._header = self._segment
        self._segment_at = self._size = 0
        self._used = records.HEADER_BYTES
        new = path.with_name(f".{path.name}")
        self._named = new
        self._lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._about = os.fstat(self._lock)
        try:
            # Before it has its name: a file that nobody has locked is taken for one that a dead process left.
            if not try_lock(self._lock):
                raise OSError(f"somebody else has {new}")
            self._grow(records.HEADER_BYTES)
            self._write_header()
            new.replace(path)
            self._named = path
        except BaseException:
            os.close(self._lock)
            with suppress(OSError):
                new.unlink()
            raise
        # Of a registry that nobody needs any more, in a process that goes on. What a process counted that ends stays.
        self._forget = weakref.finalize(self, _forget, path, self._lock, self._about)
        self._forget.atexit = False

    @property
    def used_bytes(self) -> int:
        return self._used

    def add(self, layout: Layout, key: LabelValues, values: Sequence[float] = ()) -> Cell:
        """A new cell with these values. The cell has one number more: whether it is shown.

        Raises:
            OSError: there is no room.
            ValueError: the label values are too long.
        """
        kind = records.FIRST_CELL + self._table(layout)
        name = records.key_name(key)
        if len(name) > MAX_NAME_BYTES:
            raise ValueError(f"label values of {len(name)} bytes")
        start = self._record(kind, name, layout.width + 1)
        cell = self._segment[start : start + layout.width + 1]
        for at, value in enumerate(values[: layout.width]):
            cell[at] = value
        cell[layout.width] = 1.0
        self._commit()
        return cast(Cell, cell)

    def hide(self, cell: Cell) -> None:
        """Stop showing it."""
        # First what makes readers look for such cells.
        self._header[records.HIDDEN_AT] += 1
        cell[-1] = 0.0
        self.dropped_bytes += 8 * len(cell) + 64

    def contents(self) -> Contents:
        """As others read it."""
        data = b"".join([bytes(mapped) for mapped in self._maps])
        header = records.header_of(data)
        return self._reader.contents(header, data[: header.used], is_locked=True)

    def is_in_place(self) -> bool:
        """Whether others still find it where it was made."""
        try:
            return os.path.samestat(self.path.stat(), self._about) and os.geteuid() == self.user
        except OSError:
            return False

    def close(self) -> None:
        """Let go of it: for others it is that of a dead process now, unless another has it open still. Cells that are
        still in use stay usable."""
        self._forget.detach()
        unlock(self._lock, self._about)
        self._segment = self._header = memoryview(bytearray(8)).cast("d")
        for mapped in self._maps:
            # While somebody has a cell in hand it cannot be closed; it is when that is gone.
            with suppress(BufferError):
                mapped.close()

    def _table(self, layout: Layout) -> int:
        known = self._tables.get(id(layout))
        if known is None:
            self._record(records.TABLE, text_of(layout).encode(), 0)
            self._commit()
            # With the layout, so that its id stays its own.
            known = self._tables[id(layout)] = (len(self._tables), layout)
        return known[0]

    def _record(self, kind: int, name: bytes, doubles: int) -> int:
        """Where its numbers begin in the segment. Nobody sees it before `_commit`."""
        length = records.record_bytes(name, doubles)
        if self._used + length > self._size:
            self._grow(length)
        at = self._used - self._segment_at
        written = records.head(length, kind, name)
        raw = self._segment.cast("B")
        raw[at : at + len(written)] = written
        self._used += length
        return (at + length) // 8 - doubles

    def _grow(self, needed: int) -> None:
        """By a segment, mapped by itself: what is mapped already stays where it is."""
        size = min(_MAX_SEGMENT, max(_UNIT, self._size))
        size = max(size, -(-needed // _UNIT) * _UNIT)
        if self._size + size > records.MAX_BYTES:
            raise OSError(f"{self._named} is full")
        mapped = self._mapped(size)
        if self._used < self._size:
            rest = self._size - self._used
            filler = records.head(rest, records.PADDING, b"")
            raw = self._segment.cast("B")
            at = self._used - self._segment_at
            raw[at : at + len(filler)] = filler
        self._maps.append(mapped)
        self._segment = memoryview(mapped).cast("d")
        if not self._size:
            self._header = self._segment
        else:
            self._used = self._size
        self._segment_at = self._size
        self._size += size

    def _mapped(self, size: int) -> mmap.mmap:
        # By a descriptor of its own: a mapping keeps a copy of it, which would keep the lock in a forked child, too.
        descriptor = os.open(self._named, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not os.path.samestat(os.fstat(descriptor), self._about):
                raise OSError(f"{self._named} is another file by now")
            _reserve(descriptor, self._size, size)
            return mmap.mmap(descriptor, size, offset=self._size)
        finally:
            os.close(descriptor)

    def _write_header(self) -> None:
        mine = processes.myself()
        raw = self._header.cast("B")
        raw[: len(records.MAGIC)] = records.MAGIC
        self._header[records.VERSION_AT] = records.VERSION
        self._header[records.PROCESS_AT] = mine.id
        self._header[records.STARTED_AT] = mine.started
        self._header[records.NAMESPACE_AT] = processes.namespace()
        self._header[records.MADE_AT] = time.time()
        self._commit()

    def _commit(self) -> None:
        # One store of eight bytes, after all that it makes visible.
        self._header[records.USED_AT] = self._used


def new_path(directory: Path) -> Path:
    """A name that no process ever had."""
    return directory / f"{os.getpid()}-{time.time_ns():x}{VALUES}"


def _forget(path: Path, lock: int, about: os.stat_result) -> None:
    with suppress(OSError):
        path.unlink()
    unlock(lock, about)


def _reserve(descriptor: int, at: int, size: int) -> None:
    """Room on the disk now: a page that turns out to have none when it is written kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, at, size)
    else:
        os.pwrite(descriptor, b"\0" * size, at)
