import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode as TheirOpcode

from trackside.server.probes.frames import Frame, Opcode, masked, packed, taken
from trackside.server.probes.result import ProbeError


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_twice_is_nothing(payload, mask):
    slowly = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    assert masked(payload, mask) == slowly
    assert masked(masked(payload, mask), mask) == payload


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_of_another_library_are_read(size):
    payload = b"x" * size
    theirs = TheirFrame(TheirOpcode.BINARY, payload).serialize(mask=False)

    assert taken(theirs + b"more") == (Frame(Opcode.BINARY, payload), len(theirs))
    assert taken(theirs[:-1]) is None or size == 0


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_ours_have_the_length_that_is_due(size):
    extra = 0 if size < 126 else 2 if size < 65_536 else 8

    assert len(packed(Frame(Opcode.TEXT, b"x" * size), b"abcd")) == 2 + extra + 4 + size


@given(st.binary(max_size=40))
def test_any_bytes_are_a_frame_or_too_few_or_refused(data):
    try:
        found = taken(data)
    except ProbeError:
        return
    assert found is None or found[1] <= len(data)
