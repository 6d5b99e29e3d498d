"""Moments as browsers write them into forms."""

import pytest

from trackside.server.web.moments import for_input, moment_ms

AT_MS = 1_772_402_400_000


@pytest.mark.parametrize(
    "text", ["2026-03-01T22:00", "2026-03-01T22:00:00", "2026-03-01T22:00Z", "2026-03-01T23:00+01:00"]
)
def test_a_moment_is_in_utc_unless_it_says_otherwise(text):
    assert moment_ms(text) == AT_MS


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T00:00", "0001-01-01T00:00+14:00x"])
def test_what_is_no_moment(text):
    with pytest.raises(ValueError, match="expected a day and a time, such as 2026-03-01T22:00"):
        moment_ms(text)


def test_what_a_field_is_given_is_read_back():
    assert for_input(AT_MS) == "2026-03-01T22:00"
    assert for_input(AT_MS + 5_000, "seconds") == "2026-03-01T22:00:05"
    assert moment_ms(for_input(AT_MS)) == AT_MS
