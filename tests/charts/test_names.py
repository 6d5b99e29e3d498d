"""Names that nobody can make but we."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.charts.names import NAME_BYTES, SignedNames

NOW_MS = 1_700_000_000_000
NAMES = SignedNames(b"secret")
NAME = NAMES.name("team/0123abcd")
SIGNED = NAMES.signed(NAME, NOW_MS + 5_000)


def test_a_name_is_good_until_it_is_over():
    assert NAMES.checked(SIGNED, NOW_MS) == NAME
    assert NAMES.checked(SIGNED, NOW_MS + 4_999) == NAME
    assert NAMES.checked(SIGNED, NOW_MS + 5_000) is None


def test_it_tells_nothing_about_what_it_is_for():
    assert len(NAME) == NAME_BYTES
    assert (NAMES.name("team/0123abcd"), NAMES.name("team/0123abce")) == (NAME, NAMES.name("team/0123abce"))
    assert b"team" not in urlsafe_b64decode(SIGNED + "==")


def test_another_secret_makes_other_names():
    other = SignedNames(b"other")
    assert other.checked(SIGNED, NOW_MS) is None
    assert other.name("team/0123abcd") != NAME


def test_each_changed_bit_is_noticed():
    given_bytes = urlsafe_b64decode(SIGNED + "==")
    for bit in range(len(given_bytes) * 8):
        changed = bytearray(given_bytes)
        changed[bit // 8] ^= 1 << bit % 8
        assert NAMES.checked(urlsafe_b64encode(bytes(changed)).decode().rstrip("="), NOW_MS) is None


@pytest.mark.parametrize(
    "text", ["", "x", SIGNED[:-1], SIGNED + "A", SIGNED + "=", "é" * len(SIGNED), " " + SIGNED[1:]]
)
def test_what_is_no_name(text):
    assert NAMES.checked(text, NOW_MS) is None


def test_a_name_is_written_in_one_way():
    # The last character has bits to spare, which would make four addresses of one picture.
    spellings = {SIGNED[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"}
    assert [one for one in spellings if NAMES.checked(one, NOW_MS)] == [SIGNED]


@given(st.text(max_size=60))
def test_any_text_is_looked_at(text):
    assert NAMES.checked(text, NOW_MS) is None
