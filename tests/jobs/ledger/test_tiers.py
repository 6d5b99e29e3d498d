"""Which buckets a range is read from."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.jobs.ledger.tiers import DAY_MS, HOUR_MS, MINUTE_MS, TIERS, Stretch, stretches, tier_for

DAY = 1_800_057_600_000 - 1_800_057_600_000 % DAY_MS


@given(st.integers(0, 10**8), st.integers(1, 5 * 10**8), st.integers(0, 10**7))
def test_stretches_cover_a_range_once_and_reach_out_by_less_than_the_finest_kept_bucket(ago_ms, length_ms, since_ms):
    now_ms = DAY + 11 * HOUR_MS + 1_234
    start_ms = now_ms - ago_ms - length_ms
    end_ms = now_ms - ago_ms + since_ms % 7
    found = stretches(start_ms, end_ms, now_ms)
    finest = next(tier for tier in TIERS if now_ms - start_ms <= tier.keep_ms).step_ms

    assert start_ms - finest < found[0].start_ms <= start_ms
    assert end_ms <= found[-1].end_ms < end_ms + finest
    for before, after in pairwise(found):
        assert before.end_ms == after.start_ms
    for one in found:
        assert one.start_ms % one.step_ms == one.end_ms % one.step_ms == 0


def test_a_day_is_read_from_a_few_buckets():
    now_ms = DAY + 11 * HOUR_MS + 1_234
    found = stretches(now_ms - DAY_MS, now_ms, now_ms)

    assert sum((one.end_ms - one.start_ms) // one.step_ms for one in found) < 150


def test_what_is_older_than_everything_is_read_from_days():
    assert stretches(DAY - 9_000 * DAY_MS, DAY, DAY) == [Stretch(DAY_MS, DAY - 9_000 * DAY_MS, DAY)]


@pytest.mark.parametrize(
    ("ago_ms", "step_ms", "tier_ms"),
    [
        pytest.param(HOUR_MS, 30_000, 10_000, id="half minutes of the last hour"),
        pytest.param(HOUR_MS, 5 * MINUTE_MS, MINUTE_MS, id="five minutes of the last hour"),
        pytest.param(3 * HOUR_MS, 10_000, MINUTE_MS, id="finer than is kept"),
        pytest.param(7 * DAY_MS, HOUR_MS, HOUR_MS, id="hours of a week"),
        pytest.param(300 * DAY_MS, HOUR_MS, DAY_MS, id="hours of a year"),
        pytest.param(9_000 * DAY_MS, HOUR_MS, DAY_MS, id="before everything"),
    ],
)
def test_the_tier_of_a_chart(ago_ms, step_ms, tier_ms):
    assert tier_for(DAY - ago_ms, step_ms, DAY).step_ms == tier_ms
