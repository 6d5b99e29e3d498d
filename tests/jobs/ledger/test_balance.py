"""Counted and shown by two tellers that do not speak at the same moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.jobs.ledger.balance import Balance, moved, settled

STEP_MS = 5_000
jobs = st.lists(
    st.tuples(st.integers(0, 30), st.integers(-1, 5), st.booleans(), st.sampled_from(["high", "low"])), max_size=40
)
"""When each ends (in samples), how many samples later it is shown than counted, whether it is shown, its queue."""


def play(jobs):
    balance, unseen = Balance(), {}
    for step in range(45):
        counted, shown = {}, {}
        for ends, lag, is_shown, queue in jobs:
            if step == ends + 2:
                counted[queue] = counted.get(queue, 0) + 1
            if is_shown and step == ends + 2 + lag:
                shown[queue] = shown.get(queue, 0) + 1
        at_ms = step * STEP_MS
        result = settled(moved(balance, counted, shown, at_ms), at_ms)
        balance = result.balance
        assert not (balance.owed and balance.ahead)
        for queue, count in result.unseen.items():
            assert count > 0
            unseen[queue] = unseen.get(queue, 0) + count
    return balance, unseen


@given(jobs)
def test_what_is_never_shown_is_counted_once_and_what_is_shown_is_not_counted_again(jobs):
    balance, unseen = play(jobs)

    assert sum(unseen.values()) == sum(not is_shown for _, _, is_shown, _ in jobs)
    assert balance == Balance()


@given(jobs)
def test_queues_get_what_is_theirs(jobs):
    _, unseen = play([(ends, 0, is_shown, queue) for ends, _, is_shown, queue in jobs])
    for name in ("high", "low"):
        assert unseen.get(name, 0) == sum(not is_shown and queue == name for _, _, is_shown, queue in jobs)


def looks(balance, seconds):
    unseen = {}
    for second in seconds:
        result = settled(balance, second * 1_000)
        balance = result.balance
        for queue, count in result.unseen.items():
            unseen[queue] = unseen.get(queue, 0) + count
    return balance, unseen


def test_more_shown_than_counted_is_forgiven_after_a_while():
    balance, _ = looks(moved(Balance(), {}, {"high": 2}, 0), range(0, 40, 5))
    assert balance == Balance()

    _, unseen = looks(moved(balance, {"high": 3}, {}, 50_000), range(50, 90, 5))
    assert unseen == {"high": 3}


@pytest.mark.parametrize(
    ("seconds", "is_settled"),
    [
        pytest.param(range(0, 30, 5), False, id="not yet"),
        pytest.param(range(0, 31, 5), True, id="after half a minute"),
        pytest.param((0, 300), False, id="seldom looked at: once since"),
        pytest.param((0, 300, 600), True, id="seldom looked at: twice since"),
        pytest.param((0, 1, 2, 3, 4), False, id="often looked at"),
    ],
)
def test_when_a_debt_is_a_run(seconds, is_settled):
    _, unseen = looks(moved(Balance(), {"high": 1}, {}, 0), seconds)
    assert unseen == ({"high": 1} if is_settled else {})


@pytest.mark.parametrize(
    ("counted", "shown", "left"),
    [
        pytest.param({"": 2, "high": 1}, {"high": 1}, {"": 2}, id="of its own queue first"),
        pytest.param({"": 2, "low": 1}, {"high": 2}, {"low": 1}, id="then of none"),
        pytest.param({"low": 2}, {"high": 1}, {"low": 1}, id="then of any"),
        pytest.param({"low": 1}, {"high": 3}, {}, id="and no more than there is"),
    ],
)
def test_which_debt_is_paid(counted, shown, left):
    balance = moved(Balance(), counted, shown, 0)
    assert {entry.queue: entry.count for entry in balance.owed} == left
    other_way = moved(moved(Balance(), {}, shown, 0), counted, {}, 0)
    assert sum(entry.count for entry in other_way.owed) == sum(left.values())
