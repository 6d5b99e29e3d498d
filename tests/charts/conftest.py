"""How a value went, as a chart shows it."""

import numpy as np
import pytest

from trackside.server.charts.course import Course

END_MS = 1_700_000_040_000
STEP_MS = 60_000


@pytest.fixture
def course():
    """By values, one a minute until 22:14; firing since so many minutes before."""

    def make(values, limit=None, fired=8, over=None):
        return Course(
            np.array(values, dtype=float),
            END_MS - (len(values) - 1) * STEP_MS,
            STEP_MS,
            END_MS - fired * STEP_MS,
            None if over is None else END_MS - over * STEP_MS,
            limit,
        )

    return make
