"""Which blocks to drop, and which to join. Pure: decided from what is known without reading them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyroaring import BitMap

from trackside.server.tsdb.blocks import Block

_SMALL_CELLS = 1 << 14
_FEW_SMALL = 4
_MAX_CELLS = 1 << 22


def expired(blocks: Sequence[Block], oldest_ms: int, max_bytes: int) -> list[Block]:
    """Blocks whose last sample is before `oldest_ms`; beyond these the oldest, until the rest has `max_bytes` at most
    (0: no limit)."""
    gone = [block for block in blocks if block.end_ms < oldest_ms]
    if max_bytes:
        kept = sorted((block for block in blocks if block.end_ms >= oldest_ms), key=lambda block: block.end_ms)
        size = sum(block.nbytes for block in kept)
        for block in kept:
            if size <= max_bytes:
                break
            gone.append(block)
            size -= block.nbytes
    return gone


def joinable(blocks: Sequence[Block], max_span_ms: int) -> list[list[Block]]:
    """Sets of blocks, to make one of each: those of a group that overlap (late samples), and runs of small ones."""
    by_group: dict[int, list[Block]] = {}
    for block in sorted(blocks, key=lambda block: (block.start_ms, block.block_id)):
        by_group.setdefault(block.group_id, []).append(block)
    found: list[list[Block]] = []
    for of_group in by_group.values():
        if len(of_group) > 1:
            found.extend(_joinable_in_group(of_group, max_span_ms))
    return [together for together in found if not _is_entangled(together, blocks)]


def _is_entangled(together: Sequence[Block], blocks: Sequence[Block]) -> bool:
    """Whether a block outside came between them and may have a sample of the same series and time: the joined one could
    be neither before nor after it."""
    first, last = min(block.seniority for block in together), max(block.seniority for block in together)
    start_ms, end_ms = min(block.start_ms for block in together), max(block.end_ms for block in together)
    refs = BitMap.union(BitMap(), *[block.bitmap for block in together])
    return any(
        first < other.seniority < last
        and other.start_ms <= end_ms
        and other.end_ms >= start_ms
        and other.group_id != together[0].group_id
        and other.bitmap.intersect(refs)
        for other in blocks
    )


def _joinable_in_group(blocks: Sequence[Block], max_span_ms: int) -> Iterator[list[Block]]:
    small: list[list[Block]] = []
    for cluster in _overlapping(blocks):
        overlaps = len(cluster) > 1 and _cells(cluster) <= _MAX_CELLS
        if (
            not overlaps
            and len(cluster) == 1
            and cluster[0].cells < _SMALL_CELLS
            and _fits(small, cluster, max_span_ms)
        ):
            small.append(cluster)
            continue
        # This run will not grow: now or never.
        yield from _run(small, 2)
        small = [cluster] if len(cluster) == 1 and cluster[0].cells < _SMALL_CELLS else []
        if overlaps:
            yield cluster
    yield from _run(small, _FEW_SMALL)


def _run(small: list[list[Block]], at_least: int) -> Iterator[list[Block]]:
    if len(small) >= at_least:
        yield [block for cluster in small for block in cluster]


def _fits(run: list[list[Block]], cluster: list[Block], max_span_ms: int) -> bool:
    blocks = [block for each in [*run, cluster] for block in each]
    span_ms = max(block.end_ms for block in blocks) - blocks[0].start_ms
    # Series that came and went one after the other would make a table of holes.
    is_dense = _cells(blocks) <= 2 * sum(block.samples for block in blocks) + _SMALL_CELLS
    return span_ms <= max_span_ms and is_dense and sum(block.cells for block in blocks) < 4 * _SMALL_CELLS


def _cells(blocks: Sequence[Block]) -> int:
    columns = BitMap.union(BitMap(), *[block.bitmap for block in blocks])
    return sum(block.rows for block in blocks) * len(columns)


def _overlapping(blocks: Sequence[Block]) -> list[list[Block]]:
    clusters: list[list[Block]] = []
    end_ms = 0
    for block in blocks:
        if clusters and block.start_ms <= end_ms:
            clusters[-1].append(block)
        else:
            clusters.append([block])
            end_ms = block.end_ms
        end_ms = max(end_ms, block.end_ms)
    return clusters
