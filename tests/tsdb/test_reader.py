"""The cache of decoded pages."""

from __future__ import annotations

import numpy as np

from trackside.server.tsdb.codec import Header
from trackside.server.tsdb.reader import PageCache


def entry(size: int) -> Header:
    """Of `size` bytes."""
    return Header(np.zeros(size // 8, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def test_what_is_used_often_stays():
    cache = PageCache(96 * 20)
    for number in range(1_000):
        cache.put((number, 0), entry(96))
        kept = [hot for hot in range(5) if cache.get((hot, 0)) is not None]
        for hot in set(range(min(5, number))) - set(kept):
            cache.put((hot, 0), entry(96))
    assert len(kept) >= 4
    assert cache.nbytes <= 96 * 20


def test_reading_a_little_more_than_fits_again_and_again_finds_some():
    cache = PageCache(96 * 100)
    found = 0
    for _ in range(50):
        for number in range(110):
            if cache.get((number, 0)) is None:
                cache.put((number, 0), entry(96))
            else:
                found += 1
    assert found > 50 * 110 // 3


def test_an_entry_that_comes_twice_counts_once():
    cache = PageCache(300)
    cache.put((1, 0), entry(96))
    cache.put((1, 0), entry(160))
    assert cache.nbytes == 160


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = PageCache(100)
    cache.put((1, 0), entry(160))
    assert cache.get((1, 0)) is None
    assert cache.nbytes == 0
