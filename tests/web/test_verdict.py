"""The sentence a page opens with."""

from __future__ import annotations

import pytest

from trackside.model.labels import Labels
from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.web.verdict import Finding, Level, failing_finding, since_when, target_findings, worst_first

STEPS_MS = [0, 1000, 2000, 3000, 4000, 5000]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0, 0, 0, 5, 5, 5], (3000, False), id="began within"),
        pytest.param([5, 5, 5, 5, 5, 5], (0, True), id="began before"),
        pytest.param([5, 5, 0, 0, 5, 5], (4000, False), id="the last episode only"),
        pytest.param([0, 5, 0, 5, 5, 5], (1000, False), id="one quiet step is no recovery"),
        pytest.param([0, 5, 5, None, 5, 5], (1000, False), id="nor is a missing one"),
        pytest.param([0, 0, 5, 5, 5, None], (2000, False), id="the newest step may be missing"),
        pytest.param([5, 5, 0, 0, 0, 0], None, id="over"),
        pytest.param([None] * 6, None, id="nothing known"),
    ],
)
def test_since_when(values: list[float | None], expected: tuple[int, bool] | None) -> None:
    assert since_when(STEPS_MS, values, 1.0) == expected


@pytest.mark.parametrize(
    ("ratio", "level"),
    [
        pytest.param(0.0, None, id="none"),
        pytest.param(0.009, None, id="too few to speak of"),
        pytest.param(0.01, Level.WARN, id="some"),
        pytest.param(0.041, Level.BAD, id="many"),
        pytest.param(float("nan"), None, id="no requests"),
    ],
)
def test_failing_requests(ratio: float, level: Level | None) -> None:
    finding = failing_finding("shop", ratio, None, "/")

    assert (finding.level if finding else None) is level


def test_the_sentence_names_the_service_and_the_share() -> None:
    finding = failing_finding("shop", 0.041, (5000, False), "/")

    assert finding is not None
    assert f"{finding.subject} {finding.predicate}" == "shop is failing 4.1\u202f% of requests"
    assert finding.since_ms == 5000


def target(health: TargetHealth, last_scrape_ms: int | None = 990_000, error: str = "") -> TargetStatus:
    return TargetStatus("shop", "http://a/metrics", Labels(), Labels(), health, error, last_scrape_ms)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        pytest.param([target(TargetHealth.UP)], [], id="up"),
        pytest.param([target(TargetHealth.UNKNOWN, None)], [], id="not scraped yet"),
        pytest.param([target(TargetHealth.DOWN)], [(Level.BAD, "is down")], id="down"),
        pytest.param(
            [target(TargetHealth.DOWN), target(TargetHealth.UP)],
            [(Level.WARN, "has 1 target of 2 down")],
            id="one of two down",
        ),
        pytest.param(
            [target(TargetHealth.UP, 1_000_000 - 180_000)],
            [(Level.WARN, "was not scraped for 3\u202fmin")],
            id="late",
        ),
    ],
)
def test_targets(targets: list[TargetStatus], expected: list[tuple[Level, str]]) -> None:
    found = target_findings("shop", targets, 1_000_000, "/targets")

    assert [(finding.level, finding.predicate) for finding in found] == expected


def test_the_worst_comes_first_and_the_longest_among_equals() -> None:
    findings = [
        Finding(Level.BAD, "d", ""),
        Finding(Level.WARN, "a", "", since_ms=1),
        Finding(Level.BAD, "b", "", since_ms=9),
        Finding(Level.BAD, "c", "", since_ms=5),
    ]

    assert [finding.subject for finding in worst_first(findings)] == ["c", "b", "d", "a"]
