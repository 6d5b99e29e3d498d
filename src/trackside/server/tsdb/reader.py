"""Reads blocks through a bounded cache of decoded pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from random import Random
from threading import Lock
from typing import TypeVar

from trackside.exceptions import StorageError
from trackside.server.db.database import Database
from trackside.server.tsdb import blocks
from trackside.server.tsdb.codec import Header, Page, decode_header, decode_page

T = TypeVar("T")
Key = tuple[int, int]
"""Block id, and number of the page; 0 is the header."""


class BlockGoneError(Exception):
    """The block was merged into another, or dropped, since the query began."""


class PageCache:
    """Recently used pages, up to so many bytes of them.

    Of two pages picked at random the one that was not used for longer goes. To drop the very oldest would be worse: of
    a dashboard that reads a little more than fits, again and again, not one page would still be there.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._entries: dict[Key, Header | Page] = {}
        self._used: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._clock = 0
        self._random = Random(0)
        self._lock = Lock()
        self.nbytes = 0

    def get(self, key: Key) -> Header | Page | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._clock += 1
                self._used[key] = self._clock
            return found

    def put(self, key: Key, entry: Header | Page) -> None:
        with self._lock:
            old = self._entries.get(key)
            if old is None:
                self._keys.append(key)
            self.nbytes += entry.nbytes - (0 if old is None else old.nbytes)
            self._clock += 1
            self._entries[key], self._used[key] = entry, self._clock
            while self.nbytes > self._limit_bytes:
                self._evict_one()

    def _evict_one(self) -> None:
        keys = self._keys
        one, other = self._random.randrange(len(keys)), self._random.randrange(len(keys))
        loser = one if self._used[keys[one]] <= self._used[keys[other]] else other
        keys[loser], keys[-1] = keys[-1], keys[loser]
        key = keys.pop()
        del self._used[key]
        self.nbytes -= self._entries.pop(key).nbytes


class BlockReader:
    """
    Each method raises `StorageError` for damaged data, with the block's id, and `BlockGoneError`.
    """

    def __init__(self, db: Database, cache: PageCache, exists: Callable[[int], bool]) -> None:
        """`exists`: whether the store still has that block."""
        self._db = db
        self._cache = cache
        self._exists = exists

    def header(self, block_id: int) -> Header:
        found = self._cache.get((block_id, 0))
        if not isinstance(found, Header):
            (data,) = self._read(block_id, (0,))
            found = _decoded(block_id, "header", decode_header, data)
            self._cache.put((block_id, 0), found)
        return found

    def pages(self, block_id: int, numbers: Sequence[int]) -> list[Page]:
        """`numbers` count from 1."""
        found: dict[int, Page] = {}
        for number in numbers:
            cached = self._cache.get((block_id, number))
            if isinstance(cached, Page):
                found[number] = cached
        missing = [number for number in numbers if number not in found]
        for number, data in zip(missing, self._read(block_id, missing) if missing else (), strict=True):
            found[number] = _decoded(block_id, f"page {number}", decode_page, data)
            self._cache.put((block_id, number), found[number])
        return [found[number] for number in numbers]

    def _read(self, block_id: int, numbers: Sequence[int]) -> list[bytes]:
        def work(connection: sqlite3.Connection) -> list[bytes | None]:
            return blocks.pages(connection, block_id, numbers)

        try:
            data = self._db.read(work)
        except sqlite3.Error as error:
            raise StorageError(f"block {block_id} cannot be read: {error}") from error
        there = [each for each in data if isinstance(each, bytes)]
        if len(there) < len(data):
            if not self._exists(block_id):
                raise BlockGoneError(block_id)
            raise StorageError(f"block {block_id}: a page is missing")
        return there


def _decoded(block_id: int, what: str, decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except StorageError as error:
        raise StorageError(f"block {block_id}, {what}: {error}") from error
