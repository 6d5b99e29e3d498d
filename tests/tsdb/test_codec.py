"""What goes into a block comes out again, bit by bit, and small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackside.exceptions import StorageError
from trackside.server.series import HOLE_BITS, STALE_BITS
from trackside.server.tsdb.codec import decode_header, decode_page, encode_block

ODD_BITS = [
    HOLE_BITS,
    STALE_BITS,
    0x7FF8000000000000,
    0x7FF8000000000123,
    0xFFF8000000000000,
    0x7FF0000000000001,
    0x7FF0000000000000,
    0xFFF0000000000000,
    1 << 63,
    1,
    0x4340000000000000,
    0x4340000000000001,
    0x7FEFFFFFFFFFFFFF,
]


def as_bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint64)


def decoded(times_ms: np.ndarray, refs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Through the codec and back, in the order of `refs`."""
    encoded = encode_block(times_ms, refs, values)
    header = decode_header(encoded.header)
    assert header.times_ms.tolist() == times_ms.tolist()
    back = np.empty(values.shape)
    at = 0
    for data, width in zip(encoded.pages, header.widths.tolist(), strict=True):
        page = decode_page(data)
        assert page.numbers.shape == (len(times_ms), width)
        page.expand(0, len(times_ms), None, back[:, at : at + width])
        assert page.has_markers == np.isin(as_bits(back[:, at : at + width]), [HOLE_BITS, STALE_BITS]).any()
        at += width
    places = {ref: column for column, ref in enumerate(header.refs.tolist())}
    return back[:, [places[ref] for ref in refs.tolist()]]


def assert_round_trip(values: np.ndarray) -> None:
    rows, columns = values.shape
    times_ms = np.arange(rows, dtype=np.int64) ** 2 - 1_000
    refs = np.arange(columns, dtype=np.int64)[::-1] * 3
    assert (as_bits(decoded(times_ms, refs, values)) == as_bits(values)).all()


CELLS = st.one_of(
    st.sampled_from(ODD_BITS),
    st.integers(0, 2**64 - 1),
    st.integers(-3, 3).map(lambda n: int(np.float64(n).view(np.uint64))),
    st.decimals(-1000, 1000, places=2).map(lambda n: int(np.float64(float(n)).view(np.uint64))),
)


@settings(deadline=None, max_examples=150)
@given(bits=arrays(np.uint64, st.tuples(st.integers(1, 20), st.integers(1, 6)), elements=CELLS))
def test_any_bits_survive(bits):
    assert_round_trip(bits.view(np.float64))


def counters(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.cumsum(rng.poisson(3, (rows, columns)), axis=0).astype(np.float64)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda values, rng: values, id="counters"),
        pytest.param(lambda values, rng: values / 100, id="two decimals"),
        pytest.param(lambda values, rng: values * rng.random(values.shape), id="full mantissas"),
        pytest.param(lambda values, rng: values * 1e9, id="far apart"),
        pytest.param(lambda values, rng: values * 2.0**48, id="beyond exact integers"),
        pytest.param(lambda values, rng: np.cumsum(values, axis=1), id="histogram"),
        pytest.param(lambda values, rng: np.where(values % 5 == 0, np.nan, values), id="some NaN"),
        pytest.param(lambda values, rng: values * 0 + np.nan, id="only NaN"),
        pytest.param(lambda values, rng: values * 0 + np.inf, id="only infinity"),
        pytest.param(lambda values, rng: np.where(rng.random(values.shape) < 0.5, -0.0, values), id="minus zero"),
    ],
)
@pytest.mark.parametrize("marker", [None, HOLE_BITS, STALE_BITS])
def test_realistic_columns_survive(change, marker):
    rng = np.random.default_rng(7)
    values = np.ascontiguousarray(change(counters(rng, 200, 40), rng))
    if marker is not None:
        values.view(np.uint64)[rng.random(values.shape) < 0.2] = marker
        values.view(np.uint64)[:, 3] = marker
    assert_round_trip(values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40_000, 1), (33_000, 3)])
def test_extreme_shapes_survive(shape):
    assert_round_trip(counters(np.random.default_rng(1), *shape))


def test_part_of_a_page_is_the_part_of_the_whole():
    rng = np.random.default_rng(3)
    values = counters(rng, 100, 20) / 10
    values.view(np.uint64)[rng.random(values.shape) < 0.3] = HOLE_BITS
    encoded = encode_block(np.arange(100), np.arange(20), values)
    header = decode_header(encoded.header)
    page = decode_page(encoded.pages[0])
    for columns in (np.array([0]), np.array([3, 7, 19]), np.arange(20), None):
        part = np.empty((30, 20 if columns is None else len(columns)))
        page.expand(10, 40, columns, part)
        refs = header.refs if columns is None else header.refs[columns]
        assert (as_bits(part) == as_bits(values[10:40][:, refs])).all()


def test_typical_columns_are_small():
    """Two hours at 15 s: counters of all paces, gauges that mostly rest, and histograms."""
    rng = np.random.default_rng(11)
    rows = 480
    rates = np.geomspace(0.01, 100, 40)
    plain = np.cumsum(rng.poisson(rates, (rows, 40)), axis=0)
    gauges = np.cumsum(rng.integers(-3, 4, (rows, 20)) * (rng.random((rows, 20)) < 0.3), axis=0) + 100
    cells = rng.poisson(rng.dirichlet(np.ones(12), 10) * 8.0, (rows, 10, 12))
    buckets = np.cumsum(np.cumsum(cells, axis=2), axis=0).reshape(rows, 120)
    values = np.concatenate([plain, gauges, buckets], axis=1).astype(np.float64)
    encoded = encode_block(np.arange(rows) * 15_000, np.arange(values.shape[1]), values)
    assert encoded.nbytes / values.size < 0.45


def page_and_header() -> tuple[bytes, bytes]:
    encoded = encode_block(np.arange(50), np.arange(4), counters(np.random.default_rng(5), 50, 4))
    return encoded.header, encoded.pages[0]


@pytest.mark.parametrize("decode", [decode_header, decode_page])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="nothing"),
        pytest.param(lambda data: data[:3], id="three bytes"),
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: data + b"x", id="longer"),
        pytest.param(lambda data: bytes([99]) + data[1:], id="another version"),
        pytest.param(lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], id="one bit"),
        pytest.param(lambda data: data[:5], id="no body"),
        pytest.param(lambda data: b"\x01\x00\x00\x00\x00", id="an empty body with its checksum"),
    ],
)
def test_damage_is_an_error_and_nothing_else(decode, damage):
    for data in page_and_header():
        with pytest.raises(StorageError):
            decode(damage(data))


def test_a_header_is_no_page():
    header, page = page_and_header()
    with pytest.raises(StorageError):
        decode_page(header)
    with pytest.raises(StorageError):
        decode_header(page)
