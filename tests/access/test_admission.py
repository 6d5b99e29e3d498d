from __future__ import annotations

import pytest

from trackside.server.access.admission import Admission, Refusal
from trackside.server.access.roles import Role
from trackside.server.access.throttle import FREE_FAILURES, WINDOW_MS


@pytest.fixture
def admission(keys, clock):
    return Admission(keys, clock)


def guess(admission, times, client="192.0.2.7"):
    return [admission.admit(f"wrong {number}", client) for number in range(times)]


def test_a_right_key_is_admitted(admission, keys):
    assert admission.admit(keys.create("anna", Role.OPERATOR), "192.0.2.7").name == "anna"


def test_a_wrong_one_is_refused_and_after_some_the_client_waits(admission):
    assert set(guess(admission, FREE_FAILURES)) == {Refusal(0)}
    assert admission.admit("one more", "192.0.2.7") == Refusal(WINDOW_MS // 1_000)


def test_who_guesses_right_at_last_learns_it_after_the_wait_only(admission, keys, clock):
    key = keys.create("anna", Role.OPERATOR)
    guess(admission, FREE_FAILURES)

    assert isinstance(admission.admit(key, "192.0.2.7"), Refusal)
    clock.time_ms += WINDOW_MS
    assert admission.admit(key, "192.0.2.7").name == "anna"


def test_trying_while_waiting_makes_the_wait_no_longer(admission, clock):
    guess(admission, FREE_FAILURES)
    clock.time_ms += WINDOW_MS - 1_500
    assert guess(admission, 100)[-1] == Refusal(2)

    clock.time_ms += 1_500

    assert admission.admit("wrong", "192.0.2.7") == Refusal(0)


def test_somebodys_guesses_do_not_stop_who_was_right_before_behind_the_same_proxy(admission, keys, clock):
    key = keys.create("grafana", Role.VIEWER)
    admission.admit(key, "192.0.2.7")
    guess(admission, FREE_FAILURES)
    clock.time_ms += 30_000

    assert admission.admit(key, "192.0.2.7").name == "grafana"


def test_a_key_that_was_right_and_is_revoked_is_refused_like_any_other(admission, keys, clock):
    key = keys.create("grafana", Role.VIEWER)
    admission.admit(key, "192.0.2.7")
    keys.revoke("grafana")

    assert admission.admit(key, "192.0.2.7") == Refusal(0)
