import asyncio

import pytest

from trackside.sdk.families.messages import MAX_TYPES, MAX_USERS


def test_messages_are_counted_as_they_pass(monitor, shown):
    monitor.messages.received("edge", "u1")
    monitor.messages.received("edge", user_id="u1")
    monitor.messages.processed("edge")
    monitor.messages.failed("edge", ValueError("no"))
    monitor.messages.failed("edge", "too_old")
    assert shown(monitor, "messages_") == {
        "messages_received_total{message_type=edge,user_id=u1}": 2,
        "messages_processed_total{message_type=edge}": 1,
        "messages_failed_total{error_type=ValueError,message_type=edge}": 1,
        "messages_failed_total{error_type=too_old,message_type=edge}": 1,
    }


def test_a_failure_that_is_expected_is_there_before_it_happens(monitor, shown):
    monitor.messages.expect("edge", ValueError, "too_old")
    zeros = {
        "messages_failed_total{error_type=ValueError,message_type=edge}": 0,
        "messages_failed_total{error_type=too_old,message_type=edge}": 0,
    }
    assert shown(monitor, "messages_") == zeros
    monitor.messages.failed("edge", ValueError("no"))
    assert shown(monitor, "messages_") == {**zeros, "messages_failed_total{error_type=ValueError,message_type=edge}": 1}


def test_a_block_says_how_it_ended(monitor, shown):
    with monitor.messages.processing("a"):
        pass
    with pytest.raises(KeyError), monitor.messages.processing("a"):
        raise KeyError
    assert shown(monitor, "messages_p", "messages_f") == {
        "messages_processed_total{message_type=a}": 1,
        "messages_failed_total{error_type=KeyError,message_type=a}": 1,
    }


def test_functions_of_both_kinds_are_decorated(monitor, shown):
    @monitor.messages.processing("a")
    def handle(message):
        return message

    @monitor.messages.processing("a")
    async def handle_later(message):
        return handle.__wrapped__(message)

    assert handle(1) == 1
    assert asyncio.run(handle_later(2)) == 2
    assert shown(monitor, "messages_p") == {"messages_processed_total{message_type=a}": 2}


def test_a_cancelled_one_is_neither_processed_nor_failed(monitor, shown):
    async def cancelled():
        async with monitor.messages.processing("a"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert shown(monitor, "messages_p", "messages_f") == {}


def test_users_beyond_a_number_share_a_series(monitor, shown):
    for number in range(MAX_USERS + 10):
        monitor.messages.received("a", number)
    found = shown(monitor, "messages_received")
    assert len(found) == MAX_USERS + 1
    assert found["messages_received_total{message_type=a,user_id=(overflow)}"] == 10


def test_a_user_who_is_gone_leaves_a_place(monitor, shown):
    for number in range(MAX_USERS):
        monitor.messages.received("a", number)
    monitor.messages.received("b", 7)
    for _ in range(2):
        monitor.messages.forget(7)
    monitor.messages.received("a", "new")
    found = shown(monitor, "messages_received")
    assert "messages_received_total{message_type=a,user_id=new}" in found
    assert not [series for series in found if "user_id=7}" in series]


def test_made_up_types_and_errors_are_bounded(monitor, shown):
    for number in range(MAX_TYPES + 50):
        monitor.messages.received(f"type-{number}")
        monitor.messages.failed("type-0", f"error-{number}")
    assert len(shown(monitor, "messages_received")) == MAX_TYPES + 1
    assert len(shown(monitor, "messages_failed")) == 101


class Odd:
    def __str__(self):
        raise RuntimeError("no text")


def test_an_odd_user_does_not_reach_the_application(monitor, shown):
    monitor.messages.received("a", Odd())
    monitor.messages.forget(Odd())
    assert shown(monitor, "trackside_sdk_errors_total")
