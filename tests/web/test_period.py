"""The time range and refresh that the URL asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.web.period import MAX_POINTS, period_of, step_for

NOW_MS = 1_764_079_335_678
HOURS_MS = 3_600_000


@pytest.mark.parametrize(
    ("params", "range_text", "refresh_s", "step_ms"),
    [
        pytest.param({}, "1h", 10, 15_000, id="nothing said"),
        pytest.param({"range": "6h", "refresh": "30"}, "6h", 30, 120_000, id="both said"),
        pytest.param({"range": "soon", "refresh": "often"}, "1h", 10, 15_000, id="nonsense counts as not said"),
        pytest.param({"range": "0s"}, "1h", 10, 15_000, id="too short"),
        pytest.param({"range": "900y"}, "1h", 10, 15_000, id="too long"),
        pytest.param({"refresh": "0"}, "1h", 0, 15_000, id="paused"),
        pytest.param({"refresh": "1"}, "1h", 2, 15_000, id="not faster than every two seconds"),
        pytest.param({"refresh": "9" * 40}, "1h", 10, 15_000, id="a number without end"),
    ],
)
def test_period(params: dict[str, str], range_text: str, refresh_s: int, step_ms: int) -> None:
    period = period_of(params, NOW_MS, NOW_MS - 5 * HOURS_MS)

    assert (period.range_text, period.refresh_s, period.step_ms) == (range_text, refresh_s, step_ms)
    assert period.end_ms % step_ms == 0
    assert NOW_MS - step_ms < period.end_ms <= NOW_MS


def test_a_young_server_shows_a_range_that_its_data_fills() -> None:
    assert period_of({}, NOW_MS, NOW_MS - 60_000).range_text == "15m"


def test_a_fixed_range_holds_still() -> None:
    period = period_of({"from": "1764070000", "to": "1764073600"}, NOW_MS, 0)

    assert period.is_fixed
    assert period.refresh_s == 0
    assert period.start_ms <= 1_764_070_000_000 < 1_764_073_600_000 <= period.end_ms
    assert period.params() == {"from": "1764070000", "to": "1764073600", "refresh": "0"}
    assert period_of(period.params(), NOW_MS + 60_000, 0).params() == period.params()


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"from": "5", "to": "4"}, id="ends before it starts"),
        pytest.param({"from": "5"}, id="no end"),
        pytest.param({"from": "nan", "to": "inf"}, id="not numbers"),
        pytest.param({"from": "-5", "to": "6"}, id="before time"),
        pytest.param({"from": "0", "to": "1e300"}, id="without end"),
    ],
)
def test_a_fixed_range_that_makes_no_sense_counts_as_not_said(params: dict[str, str]) -> None:
    assert not period_of(params, NOW_MS, 0).is_fixed


@given(st.integers(min_value=1_000, max_value=86_400_000 * 200))
def test_never_more_points_than_a_chart_can_show(span_ms: int) -> None:
    assert span_ms / step_for(span_ms) <= MAX_POINTS


@pytest.mark.parametrize(
    ("range_text", "interval_ms", "window"),
    [
        pytest.param("5m", 5_000, "1m", id="numbers appear within a minute"),
        pytest.param("1h", 15_000, "1m", id="four scrapes"),
        pytest.param("1h", 60_000, "4m", id="four slow scrapes"),
        pytest.param("7d", 15_000, "4h", id="four steps"),
    ],
)
def test_a_rate_looks_back_far_enough(range_text: str, interval_ms: int, window: str) -> None:
    assert period_of({"range": range_text}, NOW_MS, 0, interval_ms).window == window


def test_a_link_carries_the_range_and_leaves_out_what_is_empty() -> None:
    period = period_of({"range": "6h", "refresh": "0"}, NOW_MS, 0)

    assert period.link("/", service="a&b", other="") == "/?service=a%26b&range=6h&refresh=0"
    assert period.link("/alerts", range="7d") == "/alerts?range=7d&refresh=0"
