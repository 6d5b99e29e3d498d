"""Series of ALERTS as the life of alerts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.series import Matrix
from trackside.server.web.pages.alerts.history import WIDTH, Counted, Life, Spell, lives_of
from trackside.server.web.verdict import Level

MINUTE = 60_000


def matrix(**rows: str) -> Matrix:
    """`A_firing="..##"`: a step of a minute for each character."""
    labels = []
    for name in rows:
        alert, state = name.rsplit("_", 1)
        labels.append(Labels.of(alertname=alert, alertstate=state))
    count = len(next(iter(rows.values()), "...."))
    present = np.array([[mark == "#" for mark in row] for row in rows.values()]).reshape(len(rows), count)
    return Matrix(tuple(labels), np.arange(count) * MINUTE, present.astype(float), present)


def drawn(life: Life, count: int) -> str:
    steps = [place * MINUTE for place in range(count)]
    found = {step: "p" if not spell.fires else "f" for spell in life.spells for step in steps if covers(spell, step)}
    return "".join(found.get(step, ".") for step in steps)


def covers(spell: Spell, step: int) -> bool:
    return spell.start_ms <= step <= spell.end_ms


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param({"A_firing": ".##."}, [(False, 90, True)], id="once"),
        pytest.param({"A_firing": "##.#"}, [(True, 60, True), (True, 30, True)], id="twice, from before"),
        pytest.param({"A_pending": ".#..", "A_firing": "..##"}, [(False, 30, False), (True, 90, True)], id="both"),
    ],
)
def test_a_spell_begins_within_the_step_that_first_saw_it(rows, expected):
    (life,) = lives_of(matrix(**rows), 10**9)

    assert [(spell.length_ms // 1000, spell.fires) for spell in life.spells] == [
        (seconds, fires) for _, seconds, fires in expected
    ]


def test_in_a_step_that_saw_both_what_woke_people_counts():
    (life,) = lives_of(matrix(A_pending="##..", A_firing=".###"), 10**9)

    assert drawn(life, 4) == "pfff"


def test_what_is_known_to_be_over_does_not_go_on_though_the_last_step_saw_it():
    lives = lives_of(
        matrix(Now_firing="..##", Over_firing=".###"), 10**9, lambda labels: labels.get("alertname") == "Over"
    )

    assert [(life.name, life.goes_on, life.level) for life in lives] == [
        ("Now", True, Level.WARN),
        ("Over", False, Level.OK),
    ]


def test_those_that_go_on_come_first_and_then_the_latest():
    lives = lives_of(matrix(Old_firing="#...", New_firing="..#.", Now_pending="...#"), 10**9)

    assert [(life.name, life.level) for life in lives] == [
        ("Now", Level.UNKNOWN),
        ("New", Level.OK),
        ("Old", Level.OK),
    ]


@pytest.mark.parametrize(
    ("severity", "level"),
    [("critical", Level.BAD), ("page", Level.BAD), ("warning", Level.WARN), ("info", Level.WARN)],
)
def test_what_goes_on_is_as_bad_as_its_severity_says(severity, level):
    labels = Labels.of(alertname="A", severity=severity)

    assert Life(labels, (Spell(0, MINUTE, True),), 0, MINUTE, goes_on=True).level is level


@pytest.mark.parametrize(
    ("row", "text"),
    [
        pytest.param("..#.", "under 1 min", id="seen by one step: perhaps for a second"),
        pytest.param("#.#.#", "under 3 min", id="by one step each time"),
        pytest.param("..##", "about 1 min", id="by two in a row"),
    ],
)
def test_how_long_it_fired_is_said_no_finer_than_it_is_known(row, text):
    (life,) = lives_of(matrix(A_firing=row), 10**9)

    assert life.firing_text.replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("counted", "text"),
    [
        pytest.param(None, "once, about 3 min", id="a rule of somebody else's"),
        pytest.param(Counted(3 * MINUTE, 1), "once, 3 min", id="all the time"),
        pytest.param(Counted(20_000, 9), "on and off, 20 s", id="flickering"),
        pytest.param(Counted(20_000, 1), "once, 20 s", id="once within the steps"),
        pytest.param(Counted(170_000, 9), "once, 2 min", id="pending often, firing once"),
    ],
)
def test_single_evaluations_say_more_than_steps(counted, text):
    (life,) = lives_of(matrix(A_firing="..####"), 10**9)
    life = replace(life, counted=counted)

    assert f"{life.times_text}, {life.firing_text}".replace("\u202f", " ") == text


def test_nothing_lasts_beyond_now():
    (life,) = lives_of(matrix(A_firing="..##"), 2 * MINUTE + 30_000)

    assert life.end_ms == life.spells[-1].end_ms == 2 * MINUTE + 30_000


def test_series_that_are_no_alerts_are_left_out():
    assert lives_of(matrix(A_strange="####"), 10**9) == []


@given(st.text("#.", min_size=2, max_size=40), st.integers(0, MINUTE))
def test_spells_lie_in_order_within_the_strip(row, past_ms):
    for life in lives_of(matrix(A_firing=row), (len(row) - 2) * MINUTE + past_ms):
        assert all(one.end_ms <= other.start_ms for one, other in zip(life.spells, life.spells[1:], strict=False))
        for spell in life.spells:
            left, width = life.place(spell)
            assert 0 <= left < WIDTH
            assert width > 0
