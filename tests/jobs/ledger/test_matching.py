"""Which attempt is told of."""

from dataclasses import replace

import pytest

from trackside.jobs.ledger.matching import same_run
from trackside.jobs.ledger.runs import Origin, Outcome, Run

RUN = Run("rq", "j", "render", "high", Outcome.FAILED, ended_ms=100_000, attempt=1, started_ms=98_000)
HOOK = Origin.HOOK


@pytest.mark.parametrize(
    ("known", "told", "is_same"),
    [
        pytest.param({}, {}, True, id="shown again"),
        pytest.param({}, {"attempt": 2}, False, id="another attempt"),
        pytest.param({}, {"started_ms": 110_000, "ended_ms": 120_000}, False, id="run again by hand"),
        pytest.param({"attempt": None}, {"attempt": None}, True, id="shown again, without a number"),
        pytest.param(
            {"attempt": None, "started_ms": None},
            {"attempt": None, "started_ms": None, "ended_ms": 120_000},
            False,
            id="another end, without a number or a start",
        ),
        pytest.param({"started_ms": None}, {"ended_ms": 120_000}, True, id="the same number, no start known"),
        pytest.param(
            {"started_ms": 700_000}, {"started_ms": 700_000, "ended_ms": 105_000}, True, id="a clock that is ahead"
        ),
        pytest.param({}, {"origins": HOOK}, True, id="told by a hook too"),
        pytest.param({}, {"origins": HOOK, "attempt": None, "ended_ms": 101_000}, True, id="a hook without a number"),
        pytest.param({}, {"origins": HOOK, "attempt": 2}, False, id="a hook of another attempt"),
        pytest.param(
            {"attempt": None},
            {"origins": HOOK, "started_ms": 398_000, "ended_ms": 400_000},
            False,
            id="a hook of a later run",
        ),
        pytest.param(
            {"origins": HOOK}, {"started_ms": 128_000, "ended_ms": 130_000}, True, id="two clocks, half a minute apart"
        ),
        pytest.param(
            {"attempt": None, "origins": HOOK, "outcome": Outcome.RETRIED},
            {"attempt": None, "started_ms": 100_010, "ended_ms": 100_020, "outcome": Outcome.SUCCEEDED},
            False,
            id="a hook of the attempt before, which was tried again at once",
        ),
        pytest.param(
            {"attempt": None, "origins": HOOK, "outcome": Outcome.RETRIED},
            {"attempt": None, "started_ms": 100_010, "ended_ms": 100_020},
            False,
            id="a hook of the attempt before the last",
        ),
        pytest.param(
            {"attempt": None, "started_ms": 100_010, "ended_ms": 100_020, "outcome": Outcome.SUCCEEDED},
            {"attempt": 1, "origins": HOOK, "outcome": Outcome.RETRIED},
            False,
            id="a hook that is late with the attempt before",
        ),
        pytest.param(
            {"attempt": None, "origins": HOOK, "outcome": Outcome.SUCCEEDED},
            {"attempt": None, "started_ms": 98_005, "ended_ms": 100_020},
            True,
            id="a block that went well of a job that was marked as failed",
        ),
        pytest.param(
            {"attempt": None, "origins": HOOK, "outcome": Outcome.LOST},
            {"attempt": None, "started_ms": 100_010, "ended_ms": 100_020},
            True,
            id="of one that was killed its end comes later",
        ),
        pytest.param(
            {"ended_ms": 100_000, "started_ms": 700_000},
            {"origins": HOOK, "ended_ms": 100_500, "started_ms": 700_003},
            True,
            id="two tellers by one clock that is ahead",
        ),
        pytest.param(
            {"attempt": None, "origins": HOOK},
            {"attempt": 3, "ended_ms": 190_000},
            True,
            id="it began at the very same moment",
        ),
    ],
)
def test_the_same_attempt(known, told, is_same):
    run = replace(RUN, **known)
    assert (same_run([run], replace(RUN, **told)) is run) is is_same


def test_of_several_the_nearest_is_meant():
    runs = [
        replace(RUN, attempt=None, ended_ms=at, started_ms=at - 1_000, seq=at) for at in (100_000, 130_000, 160_000)
    ]
    told = replace(RUN, attempt=None, origins=HOOK, started_ms=130_500, ended_ms=131_000)
    assert same_run(runs, told).seq == 130_000


def test_of_nothing_nothing_is_meant():
    assert same_run([], RUN) is None
