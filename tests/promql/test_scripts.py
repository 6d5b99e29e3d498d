"""The scripts in testdata/: every eval with each series in a frame of its own, and with all in one full of holes."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("layout", ["alone", "together"])
def test_eval_gives_what_the_script_expects(script_case, layout, check_case):
    check_case(script_case, layout)
