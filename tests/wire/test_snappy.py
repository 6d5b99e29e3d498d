import contextlib
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trackside.exceptions import LimitError, ParseError
from trackside.wire.snappy import compress, decompress

repetitive = st.lists(st.sampled_from([b"http_requests_total", b"status", b"\x00" * 70, b"ab"]), max_size=80).map(
    b"".join
)


@given(st.one_of(st.binary(max_size=2000), repetitive))
@example(b"")
@example(b"x" * 100_000)
@example(bytes(range(256)) * 300)
@example(random.Random(7).randbytes(70_000))
@example(b"12345678" + random.Random(7).randbytes(65_528) + b"12345678" * 2)
def test_what_goes_in_comes_out(data):
    assert decompress(compress(data)) == data


def test_labels_that_repeat_shrink_and_noise_hardly_grows():
    text = b"".join(b'http_requests_total{path="/items/{id}",status="200",n="%d"} ' % n for n in range(500))
    noise = random.Random(1).randbytes(50_000)
    assert len(compress(text)) < len(text) / 5
    assert len(compress(noise)) < len(noise) + 20


@pytest.mark.parametrize(
    ("block", "data"),
    [
        pytest.param(b"\x00", b"", id="nothing"),
        pytest.param(b"\x03\x08abc", b"abc", id="a literal"),
        pytest.param(b"\x03\xf0\x02abc", b"abc", id="a literal with a length of one byte"),
        pytest.param(b"\x03\xf4\x02\x00abc", b"abc", id="of two"),
        pytest.param(b"\x03\xfc\x02\x00\x00\x00abc", b"abc", id="of four"),
        pytest.param(b"\x08\x00a\x0d\x01", b"a" * 8, id="a short copy over itself"),
        pytest.param(b"\x07\x04ab\x12\x02\x00", b"ababab" + b"a", id="a copy with an offset of two bytes"),
        pytest.param(b"\x05\x04ab\x0b\x02\x00\x00\x00", b"ababa", id="of four"),
        pytest.param(b"\x05\x08abc\x06\x03\x00", b"abcab", id="a copy of less than there is"),
    ],
)
def test_blocks_of_other_writers(block, data):
    assert decompress(block) == data


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"\xff\xff\xff\xff\xff\x01", id="a length that does not end"),
        pytest.param(b"\x03", id="no element"),
        pytest.param(b"\x03\x08ab", id="cut off in a literal"),
        pytest.param(b"\x03\xf4\x02", id="cut off in the length of a literal"),
        pytest.param(b"\x04\x00a\x0d", id="cut off in a copy"),
        pytest.param(b"\x05\x00a\x01\x02", id="a copy from before the beginning"),
        pytest.param(b"\x05\x00a\x01\x00", id="a copy from nowhere"),
        pytest.param(b"\x01\x08abc", id="more than it announces"),
        pytest.param(b"\x09\x08abc", id="less than it announces"),
    ],
)
def test_what_is_no_block_is_refused(block):
    with pytest.raises(ParseError):
        decompress(block)


def test_a_bomb_is_refused_before_it_goes_off():
    with pytest.raises(LimitError, match="at most 1000"):
        decompress(compress(b"\x00" * 100_000), max_bytes=1000)


@given(st.binary(max_size=300))
def test_any_bytes_give_data_or_a_refusal(block):
    with contextlib.suppress(ParseError, LimitError):
        decompress(block, max_bytes=10_000)
