import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import LimitError, ParseError
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricType
from trackside.wire.protobuf import bytes_field, double_field, fields, integer_field, text_field, varint
from trackside.wire.remote_write import (
    Metadata,
    SampleEncoder,
    WriteRequest,
    WrittenSample,
    WrittenSeries,
    decode,
    encode,
    encoded_labels,
)
from trackside.wire.snappy import compress

times = st.integers(-(2**62), 2**62)
numbers = st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
labels = st.dictionaries(texts, texts, max_size=4).map(lambda pairs: Labels.of({**pairs, "__name__": "up"}))
exemplars = st.builds(
    Exemplar,
    st.dictionaries(texts, texts, max_size=2).map(Labels.of),
    numbers,
    st.one_of(st.none(), st.integers(1, 2**31)),
)
series = st.builds(
    WrittenSeries,
    labels,
    st.lists(st.builds(WrittenSample, times, numbers), max_size=3).map(tuple),
    st.lists(exemplars, max_size=2).map(tuple),
)
metadata = st.builds(Metadata, texts, st.sampled_from(MetricType), texts, texts)


@given(st.lists(series, max_size=4), st.lists(metadata, max_size=2))
def test_what_is_written_is_read(written, about):
    request = WriteRequest(written, about)
    assert decode(encode(request)) == request


def test_infinities_and_stale_markers_keep_their_bits():
    stale = struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]
    written = WrittenSeries(
        Labels.of(__name__="up"),
        (WrittenSample(1, float("inf")), WrittenSample(2, -0.0), WrittenSample(3, stale)),
    )
    values = [sample.value for sample in decode(encode(WriteRequest([written]))).series[0].samples]
    assert struct.pack("<3d", *values).hex() == "000000000000f07f" + "0000000000000080" + "020000000000f07f"


def test_the_quick_way_writes_what_the_plain_one_does():
    for count in (1, 40):
        pairs = [("__name__", "up"), *((f"label_{n:02}", "x" * n) for n in range(1, count))]
        quick = SampleEncoder(1_700_000_000_000).series(encoded_labels(pairs), struct.pack("<d", 4.5))
        request = WriteRequest([WrittenSeries(Labels.of(pairs), (WrittenSample(1_700_000_000_000, 4.5),))])
        assert compress(quick) == encode(request)


def test_native_histograms_are_counted():
    message = bytes_field(1, text_field(1, "__name__") + text_field(2, "up")) + bytes_field(4, b"\x08\x01")
    assert decode(compress(bytes_field(1, message))).series[0].native_histograms == 1


def test_unknown_fields_are_passed_over():
    message = bytes_field(1, text_field(1, "__name__") + text_field(2, "up") + integer_field(9, 1))
    body = integer_field(7, 5) + bytes_field(1, message + double_field(15, 1.0)) + varint(8 << 3 | 5) + b"1234"
    assert decode(compress(body)).series == [WrittenSeries(Labels.of(__name__="up"))]


NAME = bytes_field(1, text_field(1, "__name__") + text_field(2, "up"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(b"\x0a", "ends in a number", id="cut off in a length"),
        pytest.param(b"\x0a\x05ab", "ends in the middle of field 1", id="cut off in a series"),
        pytest.param(b"\x0b\x00", "unknown wire type", id="a group"),
        pytest.param(b"\x00\x00", "without number", id="field zero"),
        pytest.param(b"\xff" * 11, "too long", id="a number without end"),
        pytest.param(integer_field(1, 3), "is a number", id="a number for a series"),
        pytest.param(bytes_field(1, b""), "without a name", id="no labels"),
        pytest.param(bytes_field(1, NAME + NAME), "same label twice", id="a label twice"),
        pytest.param(bytes_field(1, NAME + bytes_field(1, text_field(2, "x"))), "label without", id="a nameless label"),
        pytest.param(bytes_field(1, bytes_field(1, bytes_field(1, b"\xff"))), "UTF-8", id="no UTF-8"),
        pytest.param(bytes_field(1, NAME + bytes_field(2, integer_field(1, 3))), "not a double", id="a whole value"),
        pytest.param(bytes_field(1, NAME + bytes_field(2, double_field(2, 3))), "not an integer", id="a broken time"),
    ],
)
def test_what_is_no_message_is_refused(message, reason):
    with pytest.raises(ParseError, match=reason):
        decode(compress(message))


def test_a_message_that_is_too_large_is_refused():
    with pytest.raises(LimitError):
        decode(encode(WriteRequest([WrittenSeries(Labels.of(__name__="x" * 2000))])), max_bytes=1000)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_a_refusal(message):
    with contextlib.suppress(ParseError, LimitError):
        decode(compress(message))


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_integer_can_be_written(number):
    (field,) = fields(integer_field(3, number))
    assert (field.number, field.integer()) == (3, number)
