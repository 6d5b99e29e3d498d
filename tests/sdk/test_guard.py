import logging

import pytest

from trackside.sdk.guard import Guard


def test_an_error_of_ours_is_swallowed_and_counted():
    places = []
    with Guard(places.append).shielded("think"):
        raise RuntimeError("broken")
    assert places == ["think"]


def test_each_place_is_logged_once(caplog):
    guard = Guard()
    with caplog.at_level(logging.ERROR, logger="trackside"):
        for place in ("think", "think", "speak"):
            with guard.shielded(place):
                raise RuntimeError("broken")
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "trackside failed to think",
        "trackside failed to speak",
    ]


def test_who_wants_to_stop_the_process_is_not_held_up():
    with pytest.raises(KeyboardInterrupt), Guard().shielded("think"):
        raise KeyboardInterrupt


def test_a_counter_that_is_broken_too_does_not_reach_the_application():
    def broken(where):
        raise RuntimeError("broken too")

    with Guard(broken).shielded("think"):
        raise RuntimeError("broken")
