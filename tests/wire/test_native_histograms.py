"""Runs and differences, against a reader that undoes them."""

from hypothesis import given
from hypothesis import strategies as st

from trackside.model.metrics import NativeBuckets
from trackside.wire.native_histograms import Numbers, histogram_fields
from trackside.wire.protobuf import fields, varint

NUMBERS = Numbers(1, 2, 3, 4, 5, 6, 7, 8, 9)
COUNTS = st.dictionaries(st.integers(-2000, 2000), st.integers(1, 2**50), max_size=30)


def signed(number):
    return (number >> 1) ^ -(number & 1)


def varints(raw):
    found, number, place = [], 0, 0
    for byte in bytes(raw):
        number |= (byte & 0x7F) << place
        place += 7
        if byte < 0x80:
            found.append(number)
            number = place = 0
    return found


def side(message, spans_at, deltas_at):
    spans, deltas = [], []
    for field in fields(message):
        if field.number == spans_at:
            offset, length = (part.integer() for part in fields(field.bytes()))
            spans.append((signed(offset), length))
        elif field.number == deltas_at:
            deltas += map(signed, varints(field.bytes()))
    found, index, count = {}, 0, 0
    for offset, length in spans:
        index += offset
        for _ in range(length):
            count += deltas.pop(0)
            found[index] = count
            index += 1
    assert deltas == []
    return found


@given(COUNTS, COUNTS, st.integers(0, 2**50), st.integers(-4, 8), st.floats(allow_nan=False))
def test_all_buckets_can_be_read_back(positive, negative, zeros, schema, total):
    buckets = NativeBuckets(
        schema, 2.0**-128, float(zeros), tuple(sorted(positive.items())), tuple(sorted(negative.items()))
    )
    message = histogram_fields(NUMBERS, total, buckets)
    single = {field.number: field for field in fields(message) if field.number <= 5}
    assert single[1].integer() == zeros + sum(positive.values()) + sum(negative.values())
    assert single[2].double() == total
    assert signed(single[3].integer()) == schema
    assert single[4].double() == 2.0**-128
    assert single[5].integer() == zeros
    assert side(message, 8, 9) == positive
    assert side(message, 6, 7) == negative


def test_an_empty_one_has_a_span_of_no_buckets():
    message = histogram_fields(NUMBERS, 0.0, NativeBuckets(3, 0.0, 0.0, (), ()))
    assert side(message, 8, 9) == {}
    assert [bytes(field.bytes()) for field in fields(message) if field.number == 8] == [b"\x08\x00\x10\x00"]
    assert not [field for field in fields(message) if field.number in (6, 7, 9)]


def test_neighbours_are_one_run():
    message = histogram_fields(NUMBERS, 0.0, NativeBuckets(0, 0.0, 0.0, ((-3, 5.0), (-2, 2.0), (4, 2.0)), ()))
    spans = [
        [signed(p.integer()) if p.number == 1 else p.integer() for p in fields(f.bytes())]
        for f in fields(message)
        if f.number == 8
    ]
    assert spans == [[-3, 2], [5, 1]]
    [deltas] = [field.bytes() for field in fields(message) if field.number == 9]
    assert bytes(deltas) == varint(10) + varint(5) + varint(0)
