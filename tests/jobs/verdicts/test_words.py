"""Figures for people."""

import pytest

from trackside.jobs.verdicts.words import counted, duration, listed, share


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.42, "0.4 s"),
        (3, "3 s"),
        (59.6, "1 m"),
        (372, "6 m 12 s"),
        (7_200, "2 h"),
        (7_380, "2 h 3 m"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text.replace(" ", "\u202f"), "no line may end within it"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(37, 119, "31 %"), (41, 1_000, "4.1 %"), (1, 100_000, "0.1 %"), (999, 1_000, "99 %"), (5, 5, "100 %")],
)
def test_shares(part, whole, text):
    assert share(part, whole) == text.replace(" ", "\u202f")


def test_lists_and_counts():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcde")) == "a, b, c and 2 more"
    assert counted(1, "job") == "1 job"
    assert counted(1_200, "job") == "1,200 jobs"
