"""When a schedule should have run, and whether it did."""

import pytest

from trackside.jobs.verdicts.slots import KEPT, MAX_SCHEDULES, Slot, after, slots_of
from trackside.model.jobs import ScheduleNow


def nightly(last, next):
    return ScheduleNow("nightly", "report", last_ms=last, next_ms=next)


def looked(*looks):
    """`looks`: at, last, next; in seconds."""
    slots = ()
    for at, last, next in looks:
        ms = [None if second is None else second * 1000 for second in (last, next)]
        slots = after(slots, nightly(*ms), at * 1000)
    return [(one.due_ms // 1000, None if one.ran_ms is None else one.ran_ms // 1000) for one in slots]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([(5, None, 60)], [(60, None)], id="only to come"),
        pytest.param([(5, 0, 60), (65, 60, 120), (125, 121, 180)], [(60, 60), (120, 121), (180, None)], id="on time"),
        pytest.param([(5, 0, 60), (300, 0, 60)], [(60, None)], id="overdue"),
        pytest.param([(5, 0, 60), (300, 290, 360)], [(60, 290), (360, None)], id="late"),
        pytest.param(
            [(5, 0, 60), (65, 0, 120), (125, 120, 180)],
            [(60, None), (120, 120), (180, None)],
            id="left out, then on time",
        ),
        pytest.param([(5, 0, 60), (10, 0, 30)], [(30, None)], id="another rule, sooner"),
        pytest.param([(5, 0, 60), (10, 0, 600)], [(600, None)], id="another rule, later"),
        pytest.param([(5, 0, 60), (70, 59, 120)], [(60, 59), (120, None)], id="a moment early"),
        pytest.param([(5, 0, 60), (20, 15, 60)], [(60, None)], id="by hand, between two times"),
        pytest.param([(5, None, 60), (63, None, 120)], [(60, 63), (120, None)], id="one that never says when it ran"),
        pytest.param([(5, None, 60), (30, None, 120)], [(120, None)], id="one that never says, and another rule"),
        pytest.param([(5, 0, 60), (65, 60, None)], [(60, 60)], id="its last time"),
    ],
)
def test_a_slot_has_run_or_not(looks, expected):
    assert looked(*looks) == expected


def test_what_is_remembered_is_bounded():
    assert len(looked(*((n * 60 + 5, n * 60, n * 60 + 60) for n in range(100)))) == KEPT
    many = [ScheduleNow(f"s{n}", "", next_ms=1) for n in range(1_000)]
    assert len(slots_of({}, many, (), 0)) == MAX_SCHEDULES


def test_one_that_is_no_longer_listed_is_remembered_as_long_as_it_is_due():
    before = {"gone": (Slot(60_000),), "long gone": (Slot(60_000),)}

    assert slots_of(before, (), ("gone",), 90_000) == {"gone": (Slot(60_000),)}
