import pytest

from trackside.outbox.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "wait_s"), [(0, 1), (1, 1), (2, 2), (3, 4), (12, 2048), (13, 3600), (1_000_000, 3600)]
)
def test_the_wait_doubles_up_to_its_limit(attempt, wait_s):
    assert Backoff(first_s=1, longest_s=3600).wait_s(attempt, chance=0) == wait_s


def test_the_jitter_only_shortens():
    assert Backoff(first_s=8, jitter=0.25).wait_s(1, chance=1) == 6
    assert all(6 <= Backoff(first_s=8, jitter=0.25).wait_s(1) <= 8 for _ in range(100))
