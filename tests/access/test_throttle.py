from __future__ import annotations

import pytest

from trackside.server.access.throttle import FREE_FAILURES, MAX_CLIENTS, WINDOW_MS, Throttle

NOW_MS = 1_764_079_335_000


def failing(times: int, client: str = "192.0.2.7", now_ms: int = NOW_MS) -> Throttle:
    throttle = Throttle()
    for _ in range(times):
        throttle.failed(client, now_ms)
    return throttle


@pytest.mark.parametrize(
    ("failures", "after_ms", "expected"),
    [
        pytest.param(0, 0, 0, id="who never failed does not wait"),
        pytest.param(FREE_FAILURES - 1, 0, 0, id="some failures are free"),
        pytest.param(FREE_FAILURES, 0, WINDOW_MS, id="then the window has to pass"),
        pytest.param(FREE_FAILURES, 20_000, WINDOW_MS - 20_000, id="what has passed of it counts"),
        pytest.param(FREE_FAILURES, WINDOW_MS, 0, id="after it all is well"),
        pytest.param(FREE_FAILURES, -3_600_000, WINDOW_MS, id="a clock set back makes nobody wait longer"),
    ],
)
def test_how_long_a_client_has_to_wait(failures, after_ms, expected):
    assert failing(failures).blocked_ms("192.0.2.7", NOW_MS + after_ms) == expected


def test_failures_are_counted_by_client():
    assert failing(FREE_FAILURES).blocked_ms("192.0.2.8", NOW_MS) == 0


def test_failures_of_an_earlier_window_are_forgotten():
    throttle = failing(FREE_FAILURES)

    throttle.failed("192.0.2.7", NOW_MS + WINDOW_MS)

    assert throttle.blocked_ms("192.0.2.7", NOW_MS + WINDOW_MS) == 0


def test_a_clock_set_back_begins_a_new_window():
    throttle = failing(FREE_FAILURES)

    throttle.failed("192.0.2.7", NOW_MS - 3_600_000)

    assert throttle.blocked_ms("192.0.2.7", NOW_MS - 3_600_000) == 0


def test_only_so_many_clients_are_remembered_and_the_longest_quiet_go_first():
    throttle = failing(FREE_FAILURES)
    for number in range(MAX_CLIENTS - 1):
        throttle.failed(f"client {number}", NOW_MS)
    assert throttle.blocked_ms("192.0.2.7", NOW_MS)

    throttle.failed("one more", NOW_MS)

    assert throttle.blocked_ms("192.0.2.7", NOW_MS) == 0
    assert len(throttle._failures) == MAX_CLIENTS
