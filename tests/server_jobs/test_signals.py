"""What stored metrics say of pollers and deploys."""

import asyncio

import numpy as np
import pytest

from trackside.exceptions import QueryError
from trackside.jobs.verdicts.facts import Deploy, ExpectedBeat
from trackside.model.labels import Labels
from trackside.server.jobs.signals import BEATS, FORGOTTEN_MS, INTERVALS, VERSIONS, Signals, deploys_of
from trackside.server.series import Matrix, QueryResult, Series

NOW_MS = 1_800_000_000_000
NONE = Matrix((), np.array([NOW_MS]), np.zeros((0, 1)), np.zeros((0, 1), dtype=bool))


def one(name, value, **labels):
    return Labels.of(__name__=name, **labels), value


class Stored:
    """A backend with the latest samples of some series; those that are gone are found by looking back only."""

    def __init__(self):
        self.present, self.gone, self.versions = [], [], NONE
        self.scraped_ms = NOW_MS
        self.error = ""

    async def query(self, expr, time_ms, timeout_ms=None):
        if self.error:
            raise QueryError(self.error)
        looks_back = expr.endswith(("]", "])")) or "[1h]" in expr
        name = "beat_last_timestamp_seconds" if BEATS in expr else "beat_interval_seconds"
        found = [
            (labels, value)
            for labels, value in (self.present + (self.gone if looks_back else []))
            if labels.get("__name__").endswith(name)
        ]
        if expr.endswith("]"):
            series = [Series(labels, np.array([self.scraped_ms]), np.array([value])) for labels, value in found]
            return QueryResult(tuple(series), is_range=True)
        if expr.startswith("max by"):
            found = [(labels.only(["beat"]), value) for labels, value in found]
        values = np.array([[value] for _, value in found]).reshape(len(found), 1)
        return QueryResult(
            Matrix(tuple(labels for labels, _ in found), np.array([time_ms]), values, np.ones_like(values, dtype=bool)),
            is_range=False,
        )

    async def query_range(self, expr, start_ms, end_ms, step_ms, timeout_ms=None):
        assert expr == VERSIONS
        return QueryResult(self.versions, is_range=True)


@pytest.fixture
def stored():
    return Stored()


@pytest.fixture
def signals(stored):
    return Signals(stored)


def refresh(signals, now_ms=NOW_MS):
    asyncio.run(signals.refresh(now_ms))
    return signals


def test_a_beat_counts_from_when_its_application_was_asked(stored, signals):
    stored.present = [one("shop_beat_last_timestamp_seconds", (NOW_MS - 21_000) / 1000, beat="poller")]
    stored.scraped_ms = NOW_MS - 20_000

    assert refresh(signals).beats == {"poller": NOW_MS - 1_000}


def test_a_beat_of_an_application_that_is_gone_was_when_it_was(stored, signals):
    stored.gone = [one("beat_last_timestamp_seconds", (NOW_MS - 90_000) / 1000, beat="poller")]

    assert refresh(signals).beats == {"poller": NOW_MS - 90_000}


def test_a_beat_that_never_was_is_expected_and_not_heard(stored, signals):
    stored.present = [
        one("beat_last_timestamp_seconds", 0.0, beat="poller"),
        one("beat_interval_seconds", 1.0, beat="poller"),
    ]

    refresh(signals)

    assert (signals.beats, signals.expected) == ({}, (ExpectedBeat("poller", 1_000),))


def test_the_latest_of_several_processes_counts(stored, signals):
    stored.present = [
        one("beat_last_timestamp_seconds", (NOW_MS - seconds * 1000) / 1000, beat="poller", instance=str(seconds))
        for seconds in (5, 2, 9)
    ]

    assert refresh(signals).beats == {"poller": NOW_MS - 2_000}


def test_a_clock_that_is_ahead_hears_no_beat_of_the_future(stored, signals):
    stored.present = [one("beat_last_timestamp_seconds", (NOW_MS + 60_000) / 1000, beat="poller")]

    assert refresh(signals).beats == {"poller": NOW_MS}


def test_an_interval_is_forgotten_an_hour_after_its_application_went_away(stored, signals):
    stored.present = [one("beat_interval_seconds", 1.0, beat="poller")]
    refresh(signals)
    stored.present = []

    assert refresh(signals, NOW_MS + FORGOTTEN_MS - 1).expected == (ExpectedBeat("poller", 1_000),)
    assert refresh(signals, NOW_MS + FORGOTTEN_MS).expected == ()


def test_what_was_heard_stays_while_nothing_can_be_asked(stored, signals):
    stored.present = [one("beat_last_timestamp_seconds", NOW_MS / 1000, beat="poller")]
    refresh(signals)
    stored.error = "too slow"

    with pytest.raises(QueryError):
        refresh(signals)
    assert signals.beats == {"poller": NOW_MS}


def test_the_queries_find_names_with_a_prefix():
    assert all('"(.+_)?' in selector for selector in (BEATS, INTERVALS, VERSIONS))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param({"1": "xxxxx"}, [], id="nothing changes"),
        pytest.param({"1": "xx...", "2": "..xxx"}, [("2", 2)], id="one after the other"),
        pytest.param({"1": "xxx..", "2": ".xxxx"}, [("2", 1)], id="a rolling restart"),
        pytest.param({"1": "xx.x.", "2": "..x.x"}, [("2", 4), ("1", 3), ("2", 2)], id="back and forth"),
        pytest.param({"1": "x...x"}, [], id="out of reach for a while"),
        pytest.param({"1": "x....", "2": "....x"}, [("2", 4)], id="changed while out of reach"),
        pytest.param({"1": "..xxx"}, [], id="the first that is known is no deploy"),
    ],
)
def test_a_deploy_is_a_version_that_was_not_there_before(rows, expected):
    labels = tuple(Labels.of(job="shop", service="shop", version=version) for version in rows)
    present = np.array([[mark == "x" for mark in row] for row in rows.values()])
    steps_ms = np.arange(present.shape[1], dtype=np.int64)

    found = deploys_of(Matrix(labels, steps_ms, np.ones(present.shape), present))

    assert found == tuple(Deploy(version, at_ms) for version, at_ms in expected)


def test_versions_of_two_applications_are_not_compared():
    labels = (Labels.of(job="a", version="1"), Labels.of(job="b", version="2"))
    present = np.array([[True, False], [False, True]])

    assert deploys_of(Matrix(labels, np.arange(2), np.ones((2, 2)), present)) == ()
