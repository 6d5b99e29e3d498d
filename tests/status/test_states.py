import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.series import Matrix, QueryResult, Scalar
from trackside.server.status.config import ComponentConfig
from trackside.server.status.model import DAY_MS, MINUTE_MS, Incident, IncidentState, Minutes, State, Update
from trackside.server.status.states import (
    DOWN_MINUTES,
    day_view,
    days_view,
    minutes_by_day,
    open_minutes,
    query_of,
    states_of,
    with_maintenance,
    worst,
)

UP, DOWN, DEGRADED, MAINTENANCE, UNKNOWN = State.UP, State.DOWN, State.DEGRADED, State.MAINTENANCE, State.UNKNOWN
STEPS = [0, 60_000, 120_000]
NAN = float("nan")


def component(**keys):
    return ComponentConfig.model_validate({"name": "API", **keys})


def matrix(*rows):
    """Rows of labels and values; None where there is none."""
    values = np.array([[0.0 if value is None else value for value in row[1]] for row in rows]).reshape(len(rows), 3)
    present = np.array([[value is not None for value in row[1]] for row in rows], dtype=bool).reshape(len(rows), 3)
    labels = tuple(Labels.of(row[0]) for row in rows)
    return QueryResult(Matrix(labels, np.array(STEPS, dtype=np.int64), values, present), is_range=True)


EXPRESSIONS = [
    pytest.param([({}, [1, 0, 5])], [UP, DOWN, UP], id="0 is down"),
    pytest.param([({}, [1, None, NAN])], [UP, UNKNOWN, UNKNOWN], id="nothing and NaN are not known"),
    pytest.param([({"a": "1"}, [1, 1, 0]), ({"a": "2"}, [1, 0, None])], [UP, DOWN, DOWN], id="the worst of several"),
    pytest.param([], [UNKNOWN, UNKNOWN, UNKNOWN], id="no series"),
]


@pytest.mark.parametrize(("rows", "states"), EXPRESSIONS)
def test_the_state_of_an_expression(rows, states):
    assert states_of(component(expr="x"), matrix(*rows), STEPS) == states


def test_a_number_is_an_answer_too():
    assert states_of(component(expr="1"), QueryResult(Scalar(0, 1.0), is_range=False), STEPS) == [UP, UP, UP]


def test_the_state_of_a_check_and_of_a_heartbeat():
    check = matrix(({"state": "up"}, [1, None, None]), ({"state": "flapping"}, [None, 1, None]))
    beat = matrix(({"status": "late"}, [1, None, None]), ({"status": "down"}, [None, None, 1]))

    assert states_of(component(check="x"), check, STEPS) == [UP, DEGRADED, UNKNOWN]
    assert states_of(component(heartbeat="x"), beat, STEPS) == [UP, UNKNOWN, DOWN]


def test_names_are_quoted_where_they_are_asked_for():
    assert r'check="a\"} or up{x=\""' in query_of(component(check='a"} or up{x="'), "90s")


def test_maintenance_that_was_announced_counts_whatever_is_measured():
    update = Update(0, IncidentState.UNDER_WAY, "x")
    window = Incident(1, "x", "maintenance", ("API",), 60_000, 120_000, (update,))

    assert with_maintenance("API", [DOWN, DOWN, DOWN], STEPS, [window]) == [DOWN, MAINTENANCE, DOWN]
    assert with_maintenance("Web", [DOWN, DOWN, DOWN], STEPS, [window]) == [DOWN, DOWN, DOWN]


OPEN = [
    pytest.param(None, 150_000, [120_000], id="the first time: this minute"),
    pytest.param(120_000, 150_000, [], id="counted already"),
    pytest.param(0, 150_000, [60_000, 120_000], id="what was missed"),
    pytest.param(0, 10_000_000, [9_840_000, 9_900_000, 9_960_000], id="at most so many"),
    pytest.param(900_000, 150_000, [], id="a clock that was set back"),
]


@pytest.mark.parametrize(("last", "now", "minutes"), OPEN)
def test_which_minutes_are_to_be_counted(last, now, minutes):
    assert open_minutes(last, now, 3) == minutes


def test_the_worst_of_several_is_shown():
    assert worst([UP, UNKNOWN]) is UP
    assert worst([UP, MAINTENANCE]) is MAINTENANCE
    assert worst([DEGRADED, MAINTENANCE]) is DEGRADED
    assert worst([]) is UNKNOWN


DAYS = [
    pytest.param(Minutes(), UNKNOWN, id="nobody looked"),
    pytest.param(Minutes(up=1440), UP, id="up"),
    pytest.param(Minutes(up=1439, down=1), DEGRADED, id="a minute down is no outage"),
    pytest.param(Minutes(up=1000, down=DOWN_MINUTES), DOWN, id="an outage"),
    pytest.param(Minutes(maintenance=60), MAINTENANCE, id="only maintenance"),
    pytest.param(Minutes(up=5, maintenance=600), UP, id="maintenance and up"),
]


@pytest.mark.parametrize(("minutes", "state"), DAYS)
def test_the_colour_of_a_day(minutes, state):
    assert day_view(7, minutes).state is state


def test_uptime_as_one_reckons_it_by_hand():
    # Three days: 1,000 minutes up and 440 unknown; 1,400 up, 30 down, 10 degraded; 720 up, 720 in maintenance.
    days = {
        10: Minutes(up=1000),
        11: Minutes(up=1400, down=30, degraded=10),
        12: Minutes(up=720, maintenance=720),
    }
    bars, share = days_view(days, 12, 5)

    assert [bar.state for bar in bars] == [UNKNOWN, UNKNOWN, UP, DOWN, UP]
    assert share == (1000 + 1400 + 10 + 720) / (1000 + 1400 + 10 + 720 + 30) == 3130 / 3160


@given(st.lists(st.sampled_from(State), max_size=4_000), st.integers(0, 3 * 1440))
def test_counting_minutes_is_counting_minutes(states, first):
    steps = [(first + index) * MINUTE_MS for index in range(len(states))]
    found = minutes_by_day(states, steps)

    for day in {step // DAY_MS for step in steps}:
        here = [state for state, step in zip(states, steps, strict=True) if step // DAY_MS == day]
        counted = found.get(day, Minutes())
        assert counted == Minutes(*(here.count(state) for state in (UP, DEGRADED, DOWN, MAINTENANCE)))
        assert counted.known == len(here) - here.count(UNKNOWN)
