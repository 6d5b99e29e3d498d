import gc

import pytest

from trackside.sdk.families.buffers import MAX_USERS

OVERFLOWING = "{user_id=(overflow)}"


def test_a_buffer_shows_its_size_and_its_capacity(monitor, shown):
    buffer = monitor.buffer("u1", capacity=1000)
    buffer.set(10)
    buffer.inc(5)
    buffer.dec()
    assert shown(monitor, "buffer_") == {"buffer_size{user_id=u1}": 14, "buffer_capacity{user_id=u1}": 1000}


def test_it_may_be_asked_for_each_time(monitor, shown):
    for size in (10, 20, 30):
        monitor.buffer("u1", capacity=100).set(size)
    assert monitor.buffer("u1", capacity=100) is monitor.buffer("u1", capacity=100)
    assert shown(monitor, "buffer_size") == {"buffer_size{user_id=u1}": 30}


def test_the_capacity_may_change(monitor, shown):
    monitor.buffer("u1", capacity=100).set(50)
    monitor.buffer("u1", capacity=200)
    assert shown(monitor, "buffer_") == {"buffer_size{user_id=u1}": 50, "buffer_capacity{user_id=u1}": 200}


def test_a_user_who_is_gone_is_not_shown(monitor, shown):
    with monitor.buffer("u1", capacity=100) as buffer:
        buffer.set(50)
    for _ in range(2):
        buffer.close()
    buffer.set(70)
    assert shown(monitor, "buffer_") == {}
    monitor.buffer("u1", capacity=10).set(1)
    assert shown(monitor, "buffer_size") == {"buffer_size{user_id=u1}": 1}


class TestMoreUsersThanPlaces:
    @pytest.fixture
    def full(self, monitor):
        for number in range(MAX_USERS):
            monitor.buffer(number, capacity=10).set(1)
        return monitor

    def test_they_are_added_up(self, full, shown):
        first, second = full.buffer("a", capacity=100), full.buffer("b", capacity=300)
        first.set(50)
        second.set(30)
        second.set(40)
        found = shown(full, "buffer_")
        assert len(found) == 2 * (MAX_USERS + 1)
        assert found[f"buffer_size{OVERFLOWING}"] == 90
        assert found[f"buffer_capacity{OVERFLOWING}"] == 400
        first.close()
        assert shown(full, "buffer_size")[f"buffer_size{OVERFLOWING}"] == 40

    def test_one_that_the_application_forgets_does_not_stay_in_the_sum(self, full, shown):
        for number in range(50):
            full.buffer(f"user-{number}", capacity=100).set(50)
        gc.collect()
        assert shown(full, "buffer_size")[f"buffer_size{OVERFLOWING}"] == 0

    def test_a_place_that_is_free_again_goes_to_the_next(self, full, shown):
        full.buffer(0, capacity=10).close()
        full.buffer("new", capacity=10).set(5)
        assert shown(full, "buffer_size")["buffer_size{user_id=new}"] == 5


@pytest.mark.parametrize("size", [None, "many", object()])
def test_what_is_no_number_changes_nothing(monitor, shown, size):
    buffer = monitor.buffer("u1", capacity=10)
    buffer.set(3)
    buffer.set(size)
    assert shown(monitor, "buffer_size") == {"buffer_size{user_id=u1}": 3}
