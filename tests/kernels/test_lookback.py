"""What an instant selector sees."""

from __future__ import annotations

import numpy as np
import pytest

from trackside.server.kernels.lookback import latest
from trackside.server.series import HOLE, STALE, Frame

NONE = None


@pytest.mark.parametrize(
    ("column", "at_ms", "expected"),
    [
        pytest.param([1, 2, 3], 5, NONE, id="before the first sample"),
        pytest.param([1, 2, 3], 10, 1, id="at a sample"),
        pytest.param([1, 2, 3], 29, 2, id="between samples"),
        pytest.param([1, 2, 3], 129, 3, id="just within the lookback"),
        pytest.param([1, 2, 3], 130, NONE, id="at the open end of the lookback"),
        pytest.param([1, 2, HOLE], 30, 2, id="a hole hides nothing"),
        pytest.param([1, 2, HOLE], 119, 2, id="a hole does not count for the lookback"),
        pytest.param([1, 2, HOLE], 120, NONE, id="the sample before a hole grows old"),
        pytest.param([1, 2, STALE], 30, NONE, id="a stale marker hides all before it"),
        pytest.param([1, STALE, 3], 30, 3, id="a series comes back after a stale marker"),
        pytest.param([HOLE, 2, HOLE], 10, NONE, id="only a hole so far"),
        pytest.param([1, np.nan, 3], 25, np.nan, id="NaN is a value"),
    ],
)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a series without markers"])
def test_latest(column, at_ms, expected, beside):
    values = np.array(column, dtype=float)[:, None]
    if beside:
        values = np.concatenate([values, np.arange(3.0)[:, None]], axis=1)
    labels = ()
    frame = Frame(labels, np.array([10, 20, 30]), values, has_markers=any(v is HOLE or v is STALE for v in column))
    found = latest(frame, np.array([at_ms]), lookback_ms=100)
    assert found.present[0, 0] == (expected is not NONE)
    if expected is not NONE:
        np.testing.assert_equal(found.values[0, 0], float(expected))
