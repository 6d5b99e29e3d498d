"""Everything the database knows in memory, behind one lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from trackside.exceptions import StorageError
from trackside.server.tsdb.blocks import Block, BlockSet
from trackside.server.tsdb.chunk import Chunk
from trackside.server.tsdb.head import Head
from trackside.server.tsdb.index import SeriesIndex
from trackside.server.tsdb.registry import SeriesRegistry
from trackside.server.tsdb.selection import Tile


@dataclass(slots=True, eq=False)
class Contents:
    """`lock` guards what is in memory and is never held while anything is read or written.

    A chunk leaves the head in the same moment in which its blocks appear, so that whoever takes the tiles has each
    sample once.
    """

    index: SeriesIndex
    registry: SeriesRegistry
    head: Head
    blocks: BlockSet = field(default_factory=BlockSet)
    lock: Lock = field(default_factory=Lock)
    damaged: dict[str, None] = field(default_factory=dict)
    """What could not be read, and why; in the order in which it was found."""
    errors: int = 0
    last_error: str = ""

    def tiles(self, start_ms: int, end_ms: int) -> list[Tile]:
        with self.lock:
            blocks, tiles = self.blocks, self.head.tiles(start_ms, end_ms)
        return [*blocks.overlapping(start_ms, end_ms), *tiles]

    def has_block(self, block_id: int) -> bool:
        return block_id in self.blocks

    def replace(self, gone: Iterable[Block], new: Iterable[Block], chunk: Chunk | None = None) -> None:
        with self.lock:
            self.blocks = self.blocks.replaced([block.block_id for block in gone], new)
            if chunk is not None:
                self.head.remove(chunk)

    def count_damage(self, error: StorageError) -> None:
        """Once, however many queries meet it."""
        with self.lock:
            if str(error) not in self.damaged:
                self.damaged[str(error)] = None
                self.last_error = str(error)
                self.errors += 1

    def count_error(self, error: BaseException, doing: str) -> None:
        with self.lock:
            self.errors += 1
            self.last_error = f"{doing}: {error}"
