"""The check's verdict: one sentence for each thing that should have been seen and was not."""

from datetime import UTC, datetime

import pytest

from trackside.demo.observation import Observation
from trackside.demo.receiver import Received
from trackside.demo.system import Expectation, ExpectedAlert, System

NAN = float("nan")
LIFE = [(1.0, "Down a", "pending"), (2.0, "Down a", "firing"), (3.0, "Down a", "inactive")]
TOLD = [Received(datetime(2024, 1, 1, tzinfo=UTC), status, ("down",)) for status in ("firing", "resolved")]


def observation(values: list[float], transitions: list[tuple[float, str, str]]) -> Observation:
    expected = (Expectation("ratio", "a / b", 0, 1),)
    system = System("s", "", "", (), "", {}, lambda addresses: None, expected, (ExpectedAlert("Down", ("firing",)),))
    return Observation(system, values={"ratio": values}, transitions=transitions)


def test_nothing_is_missing_when_all_was_seen():
    assert observation([0.5], LIFE).problems(TOLD) == []


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        pytest.param([], "nothing", id="no series"),
        pytest.param([1.5], "1.5", id="too high"),
        pytest.param([-1.0], "-1", id="too low"),
        pytest.param([NAN], "nan", id="nothing to divide"),
        pytest.param([0.5, 2.0], "0.5 to 2 (2 series)", id="one of two"),
    ],
)
def test_an_answer_out_of_range_is_a_problem(values, seen):
    assert observation(values, LIFE).problems(TOLD) == [f"ratio is {seen}, expected 0 to 1"]


def test_a_series_without_anything_to_divide_is_no_problem_beside_others():
    assert observation([0.5, NAN], LIFE).problems(TOLD) == []


def test_states_and_notifications_that_never_came_are_problems():
    assert observation([0.5], [(1.0, "Other", "firing")]).problems(TOLD[:1]) == [
        "no alert became pending",
        "no alert became inactive",
        "the alert Down never became firing",
        "no resolved notification arrived",
    ]
