"""Builds the contents at start-up: catalogue and blocks are listed, the head comes from replaying the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

import numpy as np

from trackside.exceptions import StorageError
from trackside.model.labels import Labels
from trackside.server.db.database import Database
from trackside.server.series import Int64s
from trackside.server.tsdb import blocks, catalogue, journal
from trackside.server.tsdb.blocks import Block, BlockSet
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.contents import Contents
from trackside.server.tsdb.head import Head
from trackside.server.tsdb.index import SeriesIndex
from trackside.server.tsdb.journal import LayoutRow
from trackside.server.tsdb.registry import SeriesRegistry
from trackside.server.tsdb.writer import Row


def opened(db: Database, config: StorageConfig, write: Callable[[Row], None]) -> tuple[Contents, int]:
    """The contents, and the greatest id of a block. What is damaged is left out and counted. `write`: the journal."""
    db.create(catalogue.SCHEMA, journal.SCHEMA, blocks.SCHEMA)
    index = SeriesIndex()
    registry = SeriesRegistry(index, config.max_series, write)
    head = Head(config.block_duration, config.out_of_order_window, write, registry.require)
    contents = Contents(index, registry, head)

    def load(connection: sqlite3.Connection) -> int:
        head.load_groups(journal.groups(connection))
        last_ref = max(_load_blocks(connection, contents), _load_journal(connection, contents))
        _load_catalogue(connection, contents, last_ref)
        return blocks.last_id(connection)

    return contents, db.read(load)


def _load_blocks(connection: sqlite3.Connection, contents: Contents) -> int:
    """The greatest id of a series in a block."""
    found: list[tuple[Block, Int64s]] = []
    for row in blocks.stored(connection):
        if isinstance(row, int):
            contents.count_damage(StorageError(f"block {row}: its list of series is damaged"))
        else:
            found.append(row)
    found.sort(key=lambda each: each[0].end_ms)
    last_ref = 0
    for block, newest_ms in found:
        refs = np.array(block.bitmap, np.int64)
        contents.head.load_series(block.group_id, refs, newest_ms)
        last_ref = max(last_ref, int(refs[-1]))
    contents.blocks = BlockSet(block for block, _ in found)
    return last_ref


def _load_journal(connection: sqlite3.Connection, contents: Contents) -> int:
    """The greatest id of a series in it."""
    layouts: dict[int, LayoutRow] = {row.layout_id: row for row in journal.layouts(connection, contents.count_damage)}
    columns = {layout_id: len(row.refs) for layout_id, row in layouts.items()}
    samples = journal.samples(connection, columns, contents.count_damage)
    contents.head.replay(layouts, samples, journal.last_ids(connection))
    return max((int(row.refs.max(initial=0)) for row in layouts.values()), default=0)


def _load_catalogue(connection: sqlite3.Connection, contents: Contents, last_ref: int) -> None:
    pairs = catalogue.pairs(connection)
    found: dict[int, Labels] = {}
    for ref, labels in catalogue.series(connection, pairs):
        last_ref = max(last_ref, ref)
        if labels is None:
            contents.count_damage(StorageError(f"series {ref}: its labels are damaged"))
        else:
            found[ref] = labels
    contents.registry.load(pairs, _without_doubles(found), last_ref + 1)


def _without_doubles(series: dict[int, Labels]) -> Iterable[tuple[int, Labels]]:
    """A series that was forgotten and came back has two rows, if the process was killed before the first was deleted;
    only the second has samples."""
    latest: dict[Labels, int] = {labels: ref for ref, labels in series.items()}
    return [(ref, labels) for labels, ref in latest.items()]
