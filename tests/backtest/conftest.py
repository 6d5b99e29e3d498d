"""A store from lines of a unit test's notation."""

import numpy as np
import pytest

from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.unit_tests.notation import parse_metric, parse_values
from trackside.server.series import Series


@pytest.fixture
def store():
    """`store({"up": "1x5 0x3"}, step_ms=60_000)`."""

    def make(series: dict[str, str], step_ms: int = 60_000) -> ScratchStore:
        made = ScratchStore()
        for metric, notation in series.items():
            points = [
                (place * step_ms, value) for place, value in enumerate(parse_values(notation)) if value is not None
            ]
            times_ms = np.array([at_ms for at_ms, _ in points], np.int64)
            values = np.array([value for _, value in points], np.float64)
            made.append_series("g", [Series(parse_metric(metric), times_ms, values)])
        return made

    return make
